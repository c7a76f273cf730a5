import type { Seq } from '../world/types.ts';

/**
 * A new UUIDv7: the key of a request, or an id. Its time is at least that of the newest known seq.
 * Otherwise the server would refuse keys of a device whose clock is behind.
 * @param seq the newest known seq, in microseconds since 1970
 */
export function createKey(seq: Seq = 0): string {
  const time = Math.max(Date.now(), Math.floor(seq / 1000)).toString(16);
  const bytes = [...crypto.getRandomValues(new Uint8Array(9))];
  const random = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${time.padStart(12, '0')}7${random}`.replace(/(.{8})(.{4})(.{4})(.{3})/, '$1-$2-$3-8$4-');
}
