import type { Seq } from '../world/types.ts';
import type { RedisReply } from './client.ts';
import { createLostError } from './errors.ts';

/**
 * Readers for the replies of the log's scripts. If a reply has another shape than the script's header says, the outcome of the call is
 * unknown, as after a lost reply.
 */

/** @throws store_unavailable for anything but a list. */
export function readList(reply: RedisReply | undefined): RedisReply[] {
  if (!Array.isArray(reply)) throw createLostError(new TypeError('a script replied something else'));
  return reply;
}

/** @throws store_unavailable for anything but text. */
export function readText(reply: RedisReply | undefined): string {
  if (typeof reply !== 'string') throw createLostError(new TypeError('a script replied something else'));
  return reply;
}

/**
 * A whole number, as a number or printed; seqs are.
 * @throws store_unavailable for anything else, and for what a number here cannot hold.
 */
export function readInteger(reply: RedisReply | undefined): number {
  const number = typeof reply === 'string' && /^-?\d{1,16}$/.test(reply) ? Number(reply) : reply;
  if (typeof number !== 'number' || !Number.isSafeInteger(number))
    throw createLostError(new TypeError('a script replied something else'));
  return number;
}

/** As `readInteger`, and not below 0. */
export function readCount(reply: RedisReply | undefined): number {
  const number = readInteger(reply);
  if (number < 0) throw createLostError(new TypeError('a script replied something else'));
  return number;
}

/** @throws store_unavailable for anything but a positive whole number. */
export function readSeq(reply: RedisReply | undefined): Seq {
  const seq = readInteger(reply);
  if (seq <= 0) throw createLostError(new TypeError('a script replied something else'));
  return seq;
}

/** @throws store_unavailable for anything but one of these words. */
export function readWord<Word extends string>(reply: RedisReply | undefined, words: readonly Word[]): Word {
  const word = words.find((one) => one === reply);
  if (word === undefined) throw createLostError(new TypeError('a script replied something else'));
  return word;
}

/** @throws store_unavailable where the list is not of this length. */
export function checkLength(list: readonly RedisReply[], length: number): void {
  if (list.length !== length) throw createLostError(new TypeError('a script replied something else'));
}
