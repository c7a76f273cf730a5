import type { Seq } from './types.ts';

/** @returns the moment of a seq, which is microseconds since 1970, in RFC 3339. */
export function seqToTime(seq: Seq): string {
  return new Date(Math.floor(seq / 1000)).toISOString();
}

/** @returns a seq of that moment. */
export function timeToSeq(time: string): Seq {
  return Date.parse(time) * 1000;
}
