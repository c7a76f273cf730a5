import type { Redis } from 'ioredis';
import { listRedisCommands } from '../../dev/redis-monitor.ts';
import { OWN_NAME } from './hold-drains.ts';

/** MONITOR shows this source for commands that a script runs inside Redis. */
const INSIDE = 'lua';

/** The number of script calls since Redis started. */
export async function countScriptCalls(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats');
  return [...stats.matchAll(/^cmdstat_eval(?:sha)?(?:_ro)?:calls=(\d+)/gm)].reduce(
    (total, [, calls]) => total + Number(calls),
    0,
  );
}

/** The mean time of a script call inside Redis, in microseconds, since the last reset of the statistics. */
export async function readScriptMicroseconds(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats');
  return Number(/^cmdstat_evalsha:.*usec_per_call=([\d.]+)/m.exec(stats)?.[1] ?? Number.NaN);
}

/** The name of every command that reaches Redis while `work` runs, except commands of scripts and of the benchmark. */
export async function listCommands(redis: Redis, work: () => Promise<void>): Promise<string[]> {
  const seen = await listRedisCommands(redis, work);
  const clients = String(await redis.client('LIST'));
  const own = new Set(
    [...clients.matchAll(/\baddr=(\S+).*?\bname=(\S*)/g)]
      .filter(([, , name]) => name === OWN_NAME)
      .map(([, address]) => address),
  );
  return seen
    .filter(({ source, name }) => source !== INSIDE && !own.has(source) && name !== 'ping')
    .map(({ name }) => name);
}
