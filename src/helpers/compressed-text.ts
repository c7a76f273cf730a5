/** Bytes to convert in one call. Every JavaScript engine accepts this many arguments. */
const PIECE_BYTES = 0x8000;

/** @returns the text in gzip, as base64. Redis can store this over HTTP and over TCP. */
export async function compressText(text: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const packed = await readBytes(new Response(text).body, new CompressionStream('gzip'));
  const pieces: string[] = [];
  for (let at = 0; at < packed.length; at += PIECE_BYTES)
    pieces.push(String.fromCharCode(...packed.subarray(at, at + PIECE_BYTES)));
  return btoa(pieces.join(''));
}

/**
 * Reverses `compressText`. @param bytesMax of the text: decompression stops there, before it fills the memory.
 * @throws if the text does not come from `compressText`, or is too large
 */
export async function expandText(packed: string, bytesMax: number): Promise<string> {
  const binary = atob(packed);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const unfolded = await readBytes(new Response(bytes).body, new DecompressionStream('gzip'), bytesMax);
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(unfolded);
}

async function readBytes(
  source: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  through: CompressionStream | DecompressionStream,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = (source ?? new Blob([]).stream()).pipeThrough(through).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    size += read.value.length;
    if (size > bytesMax) {
      await reader.cancel();
      throw new RangeError(`the data is larger than ${bytesMax} bytes after decompression`);
    }
    chunks.push(read.value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
