import type { Seq } from '../world/types.ts';

/**
 * A new UUIDv7: the key of a request, or an id. Its time is at least that of the newest known seq.
 * Otherwise the server would refuse keys of a device whose clock is behind.
 * @param seq the newest known seq, in microseconds since 1970
 */
export function createKey(seq: Seq = 0): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const ms = Math.max(Date.now(), Math.floor(seq / 1000));
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(ms / 256 ** (5 - i)) % 256;
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
