import { AppError } from '../world/errors.ts';
import type { RedisClient, RedisReply } from './client.ts';

/** What a Redis says of itself. */
export interface RedisFacts {
  /** `noeviction` …; null where it will not say, as Upstash does not. */
  maxmemoryPolicy: string | null;
  appendonly: string | null;
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
    clockDifferenceMs: seconds * 1_000 + micros / 1_000 - (before + after) / 2,
    roundTripMs: after - before,
  };
}

async function readSetting(redis: RedisClient, name: string): Promise<string | null> {
  let reply: RedisReply;
  try {
    reply = await redis.command('CONFIG', 'GET', name);
  } catch (error) {
    // Refused: the command is renamed or not allowed.
    if (error instanceof AppError && error.code === 'internal') return null;
    throw error;
  }
  const [, value] = Array.isArray(reply) ? reply : [];
  return typeof value === 'string' ? value : null;
}
