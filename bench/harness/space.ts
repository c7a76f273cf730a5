import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { ApiKeys } from '../../src/access/api-keys.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { createApiKeyStore } from '../../src/postgres/api-key-store.ts';
import { openPg } from '../../src/postgres/pg.ts';
import { logKey } from '../../src/redis/keys.ts';
import { OWN_NAME } from './hold-drains.ts';
import { nameObject, placeObject } from './operations.ts';
import type { BenchStack } from './stack.ts';

const OBJECTS_PER_PIECE = 1_000;
const POLL_MS = 5;
const DRAIN_MS_MAX = 300_000;
/** Redis deletes this many keys in a call. */
const KEYS_PER_CALL = 500;

/** A space with objects in it, and a key for its tenant. */
export interface BenchSpace {
  address: LogAddress;
  /** `/v1/spaces/…` */
  path: string;
  headers: { Authorization: string };
}

let spaces = 0;

/** Makes a tenant, a key and a space with objects on a grid, all through the functions. */
export async function makeSpace(stack: BenchStack, url: string, objects: number): Promise<BenchSpace> {
  const tenantId = `bench-${process.pid}-${++spaces}`;
  const postgres = openPg({ databaseUrl: stack.values.databaseUrl, poolSizeMax: 1, timeoutMs: 30_000 });
  const keys = new ApiKeys(createApiKeyStore(postgres), { now: Date.now, cacheMs: 0 });
  const { secret } = await keys.issueFirst(tenantId, { scopes: ['read', 'write'] });
  await postgres.close();
  const headers = { Authorization: `Bearer ${secret}` };
  const path = '/v1/spaces/world';
  await call(`${url}${path}`, {
    method: 'PUT',
    body: '{"name":"World"}',
    headers: { ...headers, 'Content-Type': 'application/json' },
  });
  await call(`${url}${path}/state`, {
    method: 'PUT',
    body: makeWorld(objects),
    duplex: 'half',
    headers: { ...headers, 'Content-Type': 'application/x-ndjson' },
  } as RequestInit);
  return { address: { tenantId, spaceId: 'world' }, path, headers };
}

async function call(url: string, init: RequestInit): Promise<void> {
  const answer = await fetch(url, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${init.method} ${url}: ${answer.status} ${text}`);
}

function makeWorld(objects: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      let text = '';
      for (const end = Math.min(at + OBJECTS_PER_PIECE, objects); at < end; at++)
        text += `${JSON.stringify({
          kind: 'object',
          id: nameObject(at),
          name: `Object ${at}`,
          modelId: 'crate',
          position: placeObject(at, objects),
          properties: { colour: at % 16 },
        })}\n`;
      if (text !== '') return controller.enqueue(encoder.encode(text));
      controller.enqueue(encoder.encode('{"kind":"end"}\n'));
      controller.close();
    },
  });
}

export interface Backlog {
  /** The seq that Postgres has reached. */
  cursor: number;
  /** The seq of the oldest entry that is not in Postgres, or null. */
  oldestSeq: number | null;
}

/** Reads the state of a space from the stores themselves, without the functions. */
export interface SpaceWatch {
  read(): Promise<Backlog>;
  /** The seq that Postgres has reached. */
  readCursor(): Promise<number>;
  /** Waits until Postgres has the whole log. @returns the seq that it has reached */
  waitUntilDrained(): Promise<number>;
  /** Reads every `everyMs` how long the oldest entry has waited for its commit, in ms, until it is stopped. */
  sampleLag(everyMs: number): { stop(): Promise<number[]> };
  /** The size of the space's keys in Redis, in bytes. */
  measureRedisBytes(): Promise<number>;
  /** Deletes the space's keys from Redis, so that the next measurement has their memory. */
  forget(): Promise<void>;
  redis: Redis;
  postgres: pg.Client;
  close(): Promise<void>;
}

export async function watchSpace(
  { values }: BenchStack,
  { tenantId, spaceId }: LogAddress,
): Promise<SpaceWatch> {
  const redis = new Redis(values.redisUrl, { connectionName: OWN_NAME });
  // The owner bypasses row security: it sees every tenant's rows.
  const postgres = new pg.Client({ connectionString: values.migrationUrl });
  await postgres.connect();
  const keyPattern = `wk:{${tenantId}!${spaceId}}:*`;

  async function readSpace(): Promise<{ cursor: string; incarnation: string }> {
    const { rows } = await postgres.query<{ cursor: string; incarnation: string }>({
      name: 'cursor',
      text: 'select log_cursor::text as cursor, incarnation from spaces where tenant_id = $1 and space_id = $2',
      values: [tenantId, spaceId],
    });
    return rows[0] ?? { cursor: '0', incarnation: '' };
  }

  async function read(): Promise<Backlog> {
    const { cursor, incarnation } = await readSpace();
    const [first] = await redis.xrange(
      logKey({ tenantId, spaceId }, incarnation),
      `(${cursor}-0`,
      '+',
      'COUNT',
      1,
    );
    return { cursor: Number(cursor), oldestSeq: first === undefined ? null : Number.parseInt(first[0], 10) };
  }

  async function listKeys(): Promise<string[]> {
    const keys = new Set<string>();
    for await (const found of redis.scanStream({ match: keyPattern, count: 10_000 }))
      for (const key of found as string[]) keys.add(key);
    return [...keys];
  }

  return {
    redis,
    postgres,
    read,
    readCursor: async () => Number((await readSpace()).cursor),
    async waitUntilDrained() {
      for (const startedAt = performance.now(); ; await delay(POLL_MS)) {
        const { cursor, oldestSeq } = await read();
        if (oldestSeq === null) return cursor;
        if (performance.now() - startedAt > DRAIN_MS_MAX)
          throw new Error(`the entry at seq ${oldestSeq} is not in Postgres, which is at ${cursor}`);
      }
    },
    sampleLag(everyMs) {
      const lags: number[] = [];
      const end = new AbortController();
      const running = (async () => {
        for (let dueMs = performance.now(); !end.signal.aborted; dueMs += everyMs) {
          const { oldestSeq } = await read();
          const nowMs = performance.timeOrigin + performance.now();
          lags.push(oldestSeq === null ? 0 : Math.max(0, nowMs - oldestSeq / 1_000));
          await delay(Math.max(0, dueMs + everyMs - performance.now()), undefined, {
            signal: end.signal,
          }).catch(() => undefined);
        }
      })();
      running.catch(() => undefined);
      return {
        async stop() {
          end.abort();
          await running;
          return lags;
        },
      };
    },
    async measureRedisBytes() {
      let bytes = 0;
      for (const key of await listKeys())
        bytes += Number((await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0);
      return bytes;
    },
    async forget() {
      const keys = await listKeys();
      for (let at = 0; at < keys.length; at += KEYS_PER_CALL)
        await redis.unlink(...keys.slice(at, at + KEYS_PER_CALL));
    },
    async close() {
      redis.disconnect();
      await postgres.end();
    },
  };
}
