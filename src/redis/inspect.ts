import { AppError } from '../world/errors.ts';
import type { RedisClient, RedisReply } from './client.ts';

/** The values that a Redis reports about itself. */
export interface RedisFacts {
  /** `noeviction` …; null where it will not say, as Upstash does not. */
  maxmemoryPolicy: string | null;
  appendonly: string | null;
  /** Bytes it uses, and may use; `maxBytes` is 0 where there is no limit; null where it will not say. */
  memory: { usedBytes: number; maxBytes: number } | null;
  /** Milliseconds by which its clock is before (+) or behind (−) this machine's, give or take half of `roundTripMs`. */
  clockDifferenceMs: number;
  roundTripMs: number;
}

/** @throws store_unavailable */
export async function inspectRedis(redis: RedisClient): Promise<RedisFacts> {
  // The first command waits for the connection, which is no part of a round trip.
  await redis.ping();
  const before = Date.now();
  const time = await redis.command('TIME');
  const after = Date.now();
  const [seconds = 0, micros = 0] = Array.isArray(time) ? time.map(Number) : [];
  return {
    maxmemoryPolicy: await readSetting(redis, 'maxmemory-policy'),
    appendonly: await readSetting(redis, 'appendonly'),
    memory: await readMemory(redis),
    clockDifferenceMs: seconds * 1_000 + micros / 1_000 - (before + after) / 2,
    roundTripMs: after - before,
  };
}

/** @returns null where this Redis will not say. @throws store_unavailable */
export async function readSetting(redis: RedisClient, name: string): Promise<string | null> {
  const reply = await ask(redis, 'CONFIG', 'GET', name);
  const [, value] = Array.isArray(reply) ? reply : [];
  return typeof value === 'string' ? value : null;
}

/** The share of its memory limit from which a Redis counts as full. At the limit itself it alternates between refusing and accepting. */
const FULL_SHARE = 0.95;

export function isFull({ usedBytes, maxBytes }: NonNullable<RedisFacts['memory']>): boolean {
  return maxBytes > 0 && usedBytes >= FULL_SHARE * maxBytes;
}

/** @returns null where this Redis will not say. @throws store_unavailable */
export async function readMemory(redis: RedisClient): Promise<RedisFacts['memory']> {
  const text = await ask(redis, 'INFO', 'memory');
  if (typeof text !== 'string') return null;
  const [used, max] = ['used_memory', 'maxmemory'].map(
    (name) => new RegExp(`^${name}:(\\d+)\\r?$`, 'm').exec(text)?.[1],
  );
  return used === undefined || max === undefined ? null : { usedBytes: Number(used), maxBytes: Number(max) };
}

/** @returns null where the command is renamed, or not allowed to this user. @throws store_unavailable */
async function ask(redis: RedisClient, name: string, ...args: string[]): Promise<RedisReply> {
  try {
    return await redis.command(name, ...args);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { cause } = error;
    const isForbidden = cause instanceof Error && 'code' in cause && cause.code === 'NOPERM';
    if (error.code === 'internal' || isForbidden) return null;
    throw error;
  }
}
