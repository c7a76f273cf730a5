import { countOf } from '../../helpers/counts.ts';
import { BinaryParts } from './binary-parts.ts';
import { writeGlb } from './glb.ts';
import { loadUri } from './gltf-buffers.ts';
import { isMembers, type Members } from './json-text.ts';
import { SceneError, type SceneSource } from './scene.ts';

/** The first bytes of the image types that glTF and its extensions have. */
const IMAGE_TYPES: readonly [mimeType: string, at: number, bytes: string][] = [
  ['image/png', 0, '\x89PNG'],
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/webp', 8, 'WEBP'],
  ['image/ktx2', 1, 'KTX 20'],
  ['image/avif', 4, 'ftypavif'],
];

/**
 * Puts a glTF file with everything that it refers to into one binary glTF. A file that refers to nothing keeps its bytes.
 * @param binary the binary chunk of the file, or null
 * @throws SceneError if a buffer or an image is missing
 */
export async function packGlb(
  bytes: Uint8Array,
  json: Members,
  { binary, source }: { binary: Uint8Array | null; source: SceneSource },
): Promise<Uint8Array> {
  const { buffers = [], images = [], bufferViews = [] } = json as Record<string, Members[]>;
  if (![...buffers, ...images].some(({ uri }) => uri !== undefined)) return bytes;
  const parts = new BinaryParts();
  const load = async (what: string, uri: unknown) => {
    const loaded = await loadUri(uri, source.readNear);
    if (loaded !== null) return loaded;
    const name = typeof uri === 'string' && uri.length < 200 ? ` (${uri})` : '';
    throw new SceneError(
      source.file,
      null,
      `${what}${name} cannot be read, and --with-models needs it. It must be in the folder of the scene.`,
    );
  };
  const packed: Members[] = [];
  /** Where each buffer is now. */
  const places: { buffer: number; at: number }[] = [];
  for (const [index, { uri, ...buffer }] of buffers.entries()) {
    const isChunk = uri === undefined && index === 0 && binary !== null;
    if (uri === undefined && !isChunk) {
      // A buffer without bytes: only a compressed view uses it (EXT_meshopt_compression). It must not be the first.
      places.push({ buffer: packed.push(buffer), at: 0 });
      continue;
    }
    const content = isChunk ? binary : await load(`buffer ${index}`, uri);
    const length = Number(buffer.byteLength);
    if (content.length < length)
      throw new SceneError(
        source.file,
        null,
        `buffer ${index} has ${countOf(content.length, 'byte')}, fewer than its byteLength ${length}`,
      );
    places.push({ buffer: 0, at: parts.add(content.subarray(0, length)) });
  }
  const views = bufferViews.map((view) => moveView(view, places));
  const packedImages: Members[] = [];
  for (const [index, { uri, ...image }] of images.entries()) {
    if (uri === undefined) {
      packedImages.push(image);
      continue;
    }
    const content = await load(`image ${index}`, uri);
    const mimeType = findImageType(content);
    if (mimeType === null)
      throw new SceneError(source.file, null, `image ${index} is no PNG, JPEG, WebP, KTX2 or AVIF`);
    const byteOffset = parts.add(content);
    const bufferView = views.push({ buffer: 0, byteOffset, byteLength: content.length }) - 1;
    packedImages.push({ ...image, bufferView, mimeType });
  }
  const packedJson = {
    ...json,
    ...(parts.bytes + packed.length > 0 && { buffers: [{ byteLength: parts.bytes }, ...packed] }),
    ...(views.length > 0 && { bufferViews: views }),
    ...(packedImages.length > 0 && { images: packedImages }),
  };
  return writeGlb(packedJson, parts.pieces);
}

/** @returns the view at the new place of its buffer, and the same for its compressed bytes. */
export function moveView(view: Members, places: readonly { buffer: number; at: number }[]): Members {
  const move = (part: Members): Members => {
    const place = places[part.buffer as number];
    if (place === undefined) return part;
    return { ...part, buffer: place.buffer, byteOffset: Number(part.byteOffset ?? 0) + place.at };
  };
  const { extensions } = view;
  if (!isMembers(extensions)) return move(view);
  const moved = Object.entries(extensions).map(([name, value]) => [
    name,
    isMembers(value) && typeof value.buffer === 'number' ? move(value) : value,
  ]);
  return { ...move(view), extensions: Object.fromEntries(moved) };
}

/** @returns null for any other file */
function findImageType(content: Uint8Array): string | null {
  const text = Buffer.from(content.subarray(0, 16)).toString('latin1');
  const found = IMAGE_TYPES.find(([, at, bytes]) => text.startsWith(bytes, at));
  return found?.[0] ?? null;
}
