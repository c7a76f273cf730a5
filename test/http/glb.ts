/** Makes a binary glTF file with one triangle. @param filler bytes of its binary chunk in addition; the file is unique */
export function makeGlb({
  filler = 0,
  json = {},
}: {
  filler?: number;
  json?: object;
} = {}): Uint8Array<ArrayBuffer> {
  const binBytes = 36 + Math.ceil(filler / 4) * 4;
  const gltf = {
    asset: { version: '2.0', generator: crypto.randomUUID() },
    scene: 0,
    scenes: [{ nodes: [0] }],
    nodes: [{ mesh: 0, translation: [1, 0, 0] }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0 } }] }],
    accessors: [
      { bufferView: 0, componentType: 5126, count: 3, type: 'VEC3', min: [0, 0, 0], max: [1, 2, 0] },
    ],
    bufferViews: [{ buffer: 0, byteLength: 36 }],
    buffers: [{ byteLength: binBytes }],
    ...json,
  };
  const text = new TextEncoder().encode(JSON.stringify(gltf));
  const jsonBytes = Math.ceil(text.length / 4) * 4;
  const file = new Uint8Array(12 + 8 + jsonBytes + 8 + binBytes);
  const view = new DataView(file.buffer);
  const words = [0x46546c67, 2, file.length, jsonBytes, 0x4e4f534a];
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word, true);
  file.fill(0x20, 20, 20 + jsonBytes).set(text, 20);
  view.setUint32(20 + jsonBytes, binBytes, true);
  view.setUint32(24 + jsonBytes, 0x004e4942, true);
  for (const [i, value] of [0, 0, 0, 1, 0, 0, 0, 2, 0].entries())
    view.setFloat32(28 + jsonBytes + 4 * i, value, true);
  return file;
}

/** A PNG of one pixel. */
export const PNG = Uint8Array.from(
  atob('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='),
  (character) => character.charCodeAt(0),
);
