import { countOf, showCount } from '../../helpers/counts.ts';
import { GLTF_1_ADVICE } from './gltf-check.ts';
import { SceneError } from './scene.ts';

const HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** 'glTF' read as a little-endian number. */
const GLB_MAGIC = 0x46546c67;
/** 'JSON' read as a little-endian number. */
const JSON_CHUNK = 0x4e4f534a;

/** 'BIN' and NUL. */
const BINARY_CHUNK = 0x004e4942;
const SPACE = 0x20;

/** Whether the bytes begin as a binary glTF does. */
export function isGlb(bytes: Uint8Array): boolean {
  return bytes[0] === 0x67 && bytes[1] === 0x6c && bytes[2] === 0x54 && bytes[3] === 0x46;
}

/**
 * Finds the JSON of a binary glTF. It ignores geometry and images, so they need not be readable. A file that is shorter than its header
 * says is refused, because other parts may be lost too.
 */
export function sliceGlbJson(bytes: Uint8Array, file: string): Uint8Array {
  const fail = (what: string) => new SceneError(file, null, what);
  if (bytes.length < HEADER_BYTES + CHUNK_HEADER_BYTES)
    throw fail(`is a binary glTF cut off after ${countOf(bytes.length, 'byte')}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(4, true);
  if (version !== 2) throw fail(`is binary glTF ${version}, ${GLTF_1_ADVICE}`);
  const total = view.getUint32(8, true);
  if (bytes.length < total)
    throw fail(
      `is cut off: its header says ${countOf(total, 'byte')}, and it has ${showCount(bytes.length)}`,
    );
  const jsonBytes = view.getUint32(HEADER_BYTES, true);
  if (view.getUint32(HEADER_BYTES + 4, true) !== JSON_CHUNK)
    throw fail('is a binary glTF whose first chunk is not JSON');
  const end = HEADER_BYTES + CHUNK_HEADER_BYTES + jsonBytes;
  if (end > total)
    throw fail(
      `is a binary glTF whose JSON chunk ends at byte ${end}, behind the end of the file at ${total}`,
    );
  return withoutPadding(bytes.subarray(HEADER_BYTES + CHUNK_HEADER_BYTES, end));
}

/** @returns the binary chunk behind the JSON, or null where there is none that is whole. @param bytes that sliceGlbJson takes */
export function sliceGlbBinary(bytes: Uint8Array): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = HEADER_BYTES + CHUNK_HEADER_BYTES + view.getUint32(HEADER_BYTES, true);
  if (at + CHUNK_HEADER_BYTES > bytes.length || view.getUint32(at + 4, true) !== BINARY_CHUNK) return null;
  const begin = at + CHUNK_HEADER_BYTES;
  const end = begin + view.getUint32(at, true);
  return end > bytes.length ? null : bytes.subarray(begin, end);
}

/** glTF pads with spaces, which JSON allows; many programs pad with NUL. */
function withoutPadding(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0 || bytes[end - 1] === SPACE)) end--;
  return bytes.subarray(0, end);
}

/** Bytes to which the parts of a binary glTF are aligned. */
export const GLB_ALIGNMENT = 4;

/** Writes a binary glTF. @param binary the bytes of buffer 0, in pieces; empty: without a binary chunk */
export function writeGlb(json: object, binary: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(json));
  const binaryBytes = binary.reduce((sum, { length }) => sum + length, 0);
  const jsonEnd = HEADER_BYTES + CHUNK_HEADER_BYTES + alignUp(text.length);
  const hasBinary = binaryBytes > 0;
  const glb = new Uint8Array(jsonEnd + (hasBinary ? CHUNK_HEADER_BYTES + alignUp(binaryBytes) : 0));
  const view = new DataView(glb.buffer);
  const writeWords = (at: number, words: readonly number[]) => {
    for (const [index, word] of words.entries()) view.setUint32(at + index * 4, word, true);
  };
  writeWords(0, [GLB_MAGIC, 2, glb.length, alignUp(text.length), JSON_CHUNK]);
  glb.set(text, HEADER_BYTES + CHUNK_HEADER_BYTES);
  glb.fill(SPACE, HEADER_BYTES + CHUNK_HEADER_BYTES + text.length, jsonEnd);
  if (!hasBinary) return glb;
  writeWords(jsonEnd, [alignUp(binaryBytes), BINARY_CHUNK]);
  let at = jsonEnd + CHUNK_HEADER_BYTES;
  for (const piece of binary) {
    glb.set(piece, at);
    at += piece.length;
  }
  return glb;
}

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / GLB_ALIGNMENT) * GLB_ALIGNMENT;
}
