import type { LogAddress, NoEffects } from '../log/log-stores.ts';
import type { NoEffect } from '../world/batch.ts';
import type { Seq } from '../world/types.ts';
import type { RedisReply } from './client.ts';
import { createLostError } from './errors.ts';
import { logMetaKey, noEffectsKey } from './keys.ts';
import type { LogContext } from './log-context.ts';
import { readList, readSeq, readText } from './log-reply.ts';

/** As settle.lua notes it. */
export function encodeNoEffect({ seq, index, kind, status, id }: NoEffect): string {
  return `${seq} ${index} ${kind} ${status} ${id}`;
}

function readNoEffect(reply: RedisReply): NoEffect {
  const [, seq, index, kind, status, id = ''] =
    /^(\d+) (\d+) (object|avatar) (unknown_object|conflict) (.+)$/s.exec(readText(reply)) ?? [];
  if (seq === undefined) throw createLostError(new TypeError('a script replied something else'));
  return {
    seq: Number(seq),
    index: Number(index),
    id,
    kind: kind as NoEffect['kind'],
    status: status as NoEffect['status'],
  };
}

/** Two commands, one round trip. @throws store_unavailable */
export async function readNoEffects(
  { redis }: LogContext,
  address: LogAddress,
  after: Seq,
): Promise<NoEffects> {
  // In this order: what is committed when the first is read has been noted when the second is.
  const [committed, noted] = await redis.pipeline([
    ['HGET', logMetaKey(address), 'committed'],
    ['ZRANGEBYSCORE', noEffectsKey(address), `(${after}`, '+inf'],
  ]);
  return {
    committed: committed === null ? null : readSeq(committed),
    operations: readList(noted).map(readNoEffect),
  };
}
