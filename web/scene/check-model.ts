/** A model that cannot be shown, however often it is loaded. Its message says why. */
export class ModelInvalid extends Error {}

/** Of one model: what a page can draw smoothly, also if many people use the model. */
const LIMITS = {
  /** Nodes that show a mesh. Each may need a call of the graphics card. */
  parts: 2_000,
  /** Numbers of all accessors, in millions of elements. */
  elements: 5_000_000,
  /** Pixels of all images: eight images of 2,048 × 2,048. */
  pixels: 8 * 2_048 ** 2,
};

interface Gltf {
  nodes?: { mesh?: number }[];
  accessors?: { count?: number }[];
  images?: { bufferView?: number; uri?: string }[];
  bufferViews?: { byteOffset?: number; byteLength?: number }[];
}

/**
 * Reads the head of a model's file before anything is made of it: a small file can ask for much memory and much time.
 * @throws ModelInvalid
 */
export function checkModel(bytes: ArrayBuffer): void {
  const { json, binary } = readGltf(bytes);
  const { nodes = [], accessors = [], images = [], bufferViews = [] } = json;
  const parts = nodes.filter(({ mesh }) => mesh !== undefined).length;
  refuseAbove(parts, LIMITS.parts, 'parts');
  const elements = accessors.reduce((sum, { count = 0 }) => sum + count, 0);
  refuseAbove(elements, LIMITS.elements, 'numbers');
  let pixels = 0;
  for (const { bufferView } of images) {
    const view = bufferView === undefined ? undefined : bufferViews[bufferView];
    if (view === undefined || binary === null) continue;
    const { byteOffset = 0, byteLength = 0 } = view;
    pixels += countPixels(binary.subarray(byteOffset, byteOffset + byteLength));
  }
  refuseAbove(pixels, LIMITS.pixels, 'pixels in its images');
}

function refuseAbove(actual: number, max: number, what: string): void {
  if (actual <= max) return;
  const [has, may] = [actual, max].map((number) => number.toLocaleString());
  throw new ModelInvalid(`Its model is too large to draw: it has ${has} ${what}, and may have ${may}.`);
}

/** Reads a .glb, or a .gltf with everything inside. */
function readGltf(bytes: ArrayBuffer): { json: Gltf; binary: Uint8Array | null } {
  const view = new DataView(bytes);
  const isBinary = bytes.byteLength >= 20 && view.getUint32(0, true) === 0x46546c67;
  const jsonBytes = isBinary ? new Uint8Array(bytes, 20, view.getUint32(12, true)) : new Uint8Array(bytes);
  const at = isBinary ? 20 + jsonBytes.byteLength + 8 : bytes.byteLength;
  try {
    const text = new TextDecoder().decode(jsonBytes).replace(/[\0 ]+$/, '');
    return { json: JSON.parse(text), binary: at < bytes.byteLength ? new Uint8Array(bytes, at) : null };
  } catch {
    throw new ModelInvalid('Its model cannot be read: the file is not glTF.');
  }
}

/** Pixels of a PNG or a JPEG; 0 for any other image. */
function countPixels(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24 && view.getUint32(0) === 0x89504e47) return view.getUint32(16) * view.getUint32(20);
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return 0;
  // Segments of a JPEG: a marker, and the length of what follows. A "start of frame" has the size.
  for (let at = 2; at + 9 < bytes.length; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return view.getUint16(at + 5) * view.getUint16(at + 7);
  }
  return 0;
}
