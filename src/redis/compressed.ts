/** Text as Redis keeps much of it: gzip, as base64, because not every way to Redis carries bytes. */

/** Bytes that become one call's arguments. */
const PIECE = 32_768;

export async function compress(text: string): Promise<string> {
  return toBase64(await pipe(new TextEncoder().encode(text), new CompressionStream('gzip')));
}

/** @throws TypeError for what `compress` did not make */
export async function decompress(text: string): Promise<string> {
  return new TextDecoder().decode(await pipe(fromBase64(text), new DecompressionStream('gzip')));
}

async function pipe(
  bytes: Uint8Array<ArrayBuffer>,
  through: TransformStream,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(through)).arrayBuffer());
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += PIECE)
    binary += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
