import { afterAll, afterEach, beforeAll } from 'vitest';
import type { Faults } from '../../dev/emulators/faults.ts';
import { startNeonEmulator } from '../../dev/emulators/neon.ts';
import { startUpstashEmulator } from '../../dev/emulators/upstash.ts';
import type { LiveSource } from '../../src/live/live-stores.ts';
import { Drain, type DrainEvent, type DrainOptions } from '../../src/log/drain.ts';
import { createFindCursor } from '../../src/log/find-cursor.ts';
import {
  type DrainStore,
  type LogAddress,
  type LogStore,
  SpaceLog,
  type SpaceLogOptions,
} from '../../src/log/space-log.ts';
import type { WorldStore } from '../../src/persistence-layer.ts';
import type { Postgres } from '../../src/postgres/client.ts';
import { createDrainStore } from '../../src/postgres/drain-store.ts';
import { openNeon } from '../../src/postgres/neon.ts';
import { createWorldStore } from '../../src/postgres/world-store.ts';
import type { RedisClient } from '../../src/redis/client.ts';
import { KnownLogs } from '../../src/redis/known-logs.ts';
import { createLogStore } from '../../src/redis/log.ts';
import { openTcpRedis } from '../../src/redis/tcp.ts';
import { openUpstash } from '../../src/redis/upstash.ts';
import { openUpstashLive } from '../../src/redis/upstash-live.ts';
import { startTestRedis } from '../start-redis.ts';
import { stack, uniqueName } from '../support.ts';

const PASSWORD = 'a-long-password';
const TIMEOUT_MS = 20_000;
/** Logs are not trimmed, because tests read them again from the start. */
const KEPT = { replayWindowMsMax: 3_600_000, replayWindowEntriesMax: 1e6, replayWindowBytesMax: 2 ** 40 };
export const NO_LIMITS = { bytesMax: 2 ** 40, entriesMax: 2 ** 40, ageMsMax: 2 ** 40 };

/** The ids of people whose avatars a test moves. */
export const PEOPLE = ['a', 'mia'];

export interface Rig {
  /** The separate Redis of the test file, without the emulator. */
  admin: RedisClient;
  redis: RedisClient;
  live: LiveSource;
  postgres: Postgres;
  neon: Faults;
  upstash: Faults;
  /** The log store of another process, which knows no incarnation yet. */
  openLogStore(
    options?: Parameters<typeof createLogStore>[1],
    known?: KnownLogs,
  ): ReturnType<typeof createLogStore>;
  /** The knowledge of a new process about logs: none yet. */
  openKnownLogs(): KnownLogs;
  log: LogStore;
  store: ReturnType<typeof createDrainStore>;
  world: WorldStore;
}

/** The real stores behind separate emulators, so that faults reach only this test file. Faults end after each test. */
export function useRig(): Rig {
  const closing: (() => Promise<unknown>)[] = [];
  const rig = {} as Rig;
  beforeAll(async () => {
    const server = await startTestRedis(PASSWORD);
    closing.push(() => server.stop());
    const upstash = await startUpstashEmulator({ redisUrl: server.url, token: PASSWORD, port: 0 });
    closing.push(() => upstash.close());
    const { databaseUrl } = stack();
    const neon = await startNeonEmulator({ postgresPort: Number(new URL(databaseUrl).port), port: 0 });
    closing.push(() => neon.close());
    const admin = openTcpRedis({
      host: '127.0.0.1',
      port: server.port,
      password: PASSWORD,
      timeoutMs: TIMEOUT_MS,
    });
    closing.push(() => admin.close());
    const redis = openUpstash({ url: upstash.url, token: PASSWORD, timeoutMs: TIMEOUT_MS });
    const live = openUpstashLive({ url: upstash.url, token: PASSWORD, timeoutMs: TIMEOUT_MS });
    const postgres = openNeon({ databaseUrl, fetchEndpoint: neon.sqlUrl, timeoutMs: TIMEOUT_MS });
    const store = createDrainStore(postgres);
    const openKnownLogs = () =>
      new KnownLogs(redis, { findCursor: createFindCursor(store, { now: Date.now, pause }) });
    const openLogStore: Rig['openLogStore'] = (options, known = openKnownLogs()) =>
      createLogStore(redis, { ...KEPT, ...options }, known);
    Object.assign(rig, {
      live,
      admin,
      redis,
      postgres,
      neon: neon.faults,
      upstash: upstash.faults,
      openKnownLogs,
      openLogStore,
      log: openLogStore(),
      store,
      world: createWorldStore(postgres),
    });
  });
  afterEach(() => {
    rig.neon.clear();
    rig.upstash.clear();
  });
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });
  return rig;
}

/** Makes a new tenant with a space and some people. */
export async function makeSpace({ world }: Rig): Promise<LogAddress> {
  const address = { tenantId: uniqueName('t'), spaceId: 'main' };
  await world.ensureTenant(address.tenantId);
  await world.putSpace(address.tenantId, address.spaceId, { name: 'Main' });
  for (const id of PEOPLE)
    await world.upsertUser(address.tenantId, { id, displayName: id, avatarUrl: null, properties: {} });
  return address;
}

export interface Stores {
  log?: LogStore;
  store?: DrainStore;
}

/** A drain, with its events and its messages to QStash. */
export function openDrain(
  rig: Rig,
  {
    log = rig.log,
    store = rig.store,
    pause: rest = pause,
  }: Stores & Partial<Pick<DrainOptions, 'pause'>> = {},
  now = Date.now,
) {
  const told: DrainEvent[] = [];
  const published: (LogAddress & { delaySeconds: number })[] = [];
  const options: DrainOptions = {
    now,
    pause: rest,
    onEvent: (event) => void told.push(event),
    publishDrain: async (message) => void published.push(message),
    retention: { resultsSeconds: 86_400, deadLetterDays: 30 },
  };
  return { drain: new Drain(log, store, options), told, published };
}

/** A space log. `settle` waits for the work that no answer waits for. */
export function openSpaceLog(
  rig: Rig,
  drain: Pick<Drain, 'run'>,
  { log = rig.log, store = rig.store, ...options }: Stores & Partial<SpaceLogOptions> = {},
) {
  const spaceLog = new SpaceLog(log, store, drain, {
    now: Date.now,
    pause,
    idempotencyTtlSeconds: 600,
    requestsPerMinute: 0,
    updatesPerMinute: 0,
    messagesPerMinute: 0,
    backlog: NO_LIMITS,
    commitsAlways: false,
    ...options,
  });
  const deferred: Promise<unknown>[] = [];
  const defer = (work: Promise<unknown>) => void deferred.push(work);
  return {
    spaceLog,
    defer,
    /** Options for an append by a principal, with an idempotency key if one is given. */
    options: (key: string | null = null) => ({
      principal: 'p',
      defer,
      idempotency: key === null ? null : { key, fingerprint: 'same' },
    }),
    async settle() {
      while (deferred.length > 0) await Promise.allSettled(deferred.splice(0));
    },
  };
}

/** A drain that does nothing: appended entries stay in the log. */
export const NO_DRAIN: Pick<Drain, 'run'> = {
  run: async () => ({ status: 'relieved', operations: 0, entries: 0, batches: 0, seq: null }),
};

/** Waits as the product does, but does not keep a process alive. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

/** The store with a hook that gets the name of each call and runs it. */
export function wrapStore<Store extends object>(
  store: Store,
  intercept: (method: string, call: () => Promise<unknown>, args: unknown[]) => Promise<unknown>,
): Store {
  return new Proxy(store, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...args: unknown[]) =>
        intercept(String(name), async () => Reflect.apply(method, target, args), args);
    },
  });
}

export class Killed extends Error {}

/**
 * Stores of a process that ends at its n-th call: before the call is sent, or after it was run but before its answer.
 * The process sends nothing afterwards. `calls` is the number of calls.
 */
export function killAt({ log, store }: Rig, n: number, when: 'before' | 'after') {
  const count = { calls: 0 };
  async function intercept(_: string, call: () => Promise<unknown>): Promise<unknown> {
    const at = ++count.calls;
    if (at > n || (at === n && when === 'before')) throw new Killed();
    const answer = await call();
    if (at === n || count.calls > n) throw new Killed();
    return answer;
  }
  return { log: wrapStore(log, intercept), store: wrapStore<DrainStore>(store, intercept), count };
}
