import { createParser } from 'eventsource-parser';
import { expect } from 'vitest';
import { pause, startTimer } from '../../src/helpers/time.ts';
import type { LiveSource } from '../../src/live/live-stores.ts';
import { SpaceChanges } from '../../src/live/space-changes.ts';
import { SpaceStreams } from '../../src/live/space-streams.ts';
import { Drain } from '../../src/log/drain.ts';
import { createFindCursor } from '../../src/log/find-cursor.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { createNoteAhead } from '../../src/log/readers-ahead.ts';
import { SpaceLog } from '../../src/log/space-log.ts';
import { PersistenceLayer } from '../../src/persistence-layer.ts';
import type { Postgres } from '../../src/postgres/client.ts';
import { createDrainStore } from '../../src/postgres/drain-store.ts';
import { createStateLoader } from '../../src/postgres/operations/load-snapshot.ts';
import { createWorldStore } from '../../src/postgres/world-store.ts';
import type { RedisClient } from '../../src/redis/client.ts';
import { KnownLogs } from '../../src/redis/known-logs.ts';
import { createLogStore } from '../../src/redis/log.ts';
import { createStateStore } from '../../src/redis/snapshot.ts';
import { createStreamPlaces } from '../../src/redis/stream-places.ts';
import { SpaceState } from '../../src/state/space-state.ts';
import { isAway } from '../../src/world/errors.ts';
import type { Operation } from '../../src/world/operation.ts';
import type { Seq } from '../../src/world/types.ts';
import { NO_DRAIN, NO_LIMITS } from './rig.ts';

const HEARTBEAT_MS = 50;

/** Names of objects, by their ids. */
export type Names = Record<string, string | null>;

export interface Stores {
  redis: RedisClient;
  live: LiveSource;
  postgres: Postgres;
}

/** One process as in the product, with its own memory and every way to write and to read. */
export function openProcess(
  { redis, live, postgres }: Stores,
  address: LogAddress,
  { now = Date.now }: { now?: () => number } = {},
) {
  const store = createDrainStore(postgres);
  const known = new KnownLogs(redis, { findCursor: createFindCursor(store, { now, pause }) });
  const log = createLogStore(redis, {}, known);
  const deferred: Promise<unknown>[] = [];
  const defer = (work: Promise<unknown>) => void deferred.push(work);
  const fail = (_: unknown, cause: unknown) => {
    throw cause;
  };
  const noteAhead = createNoteAhead(store, log, { now, onFailure: fail });
  const drain = new Drain(log, store, {
    now,
    pause,
    publishDrain: null,
    onEvent: () => undefined,
    retention: { resultsSeconds: 600, deadLetterDays: 1 },
  });
  const options = {
    now,
    pause,
    idempotencyTtlSeconds: 600,
    requestsPerMinute: 0,
    updatesPerMinute: 0,
    messagesPerMinute: 0,
  };
  const openLog = (by: Pick<Drain, 'run'>) =>
    new SpaceLog(log, store, by, { ...options, backlog: NO_LIMITS, commitsAlways: false });
  const spaceLog = openLog(drain);
  const undrained = openLog(NO_DRAIN);
  const state = new SpaceState(
    createStateStore(redis, {}, known),
    createStateLoader(postgres),
    spaceLog,
    drain,
    { now, pause, createToken: () => crypto.randomUUID(), onEvent: () => undefined, noteAhead },
  );
  drain.setSnapshotRenewer(state);
  const layer = new PersistenceLayer(
    createWorldStore(postgres),
    { log: spaceLog, defer, state },
    { ...address, actor: null },
  );
  const changes = new SpaceChanges(log, store, noteAhead);
  const streams = new SpaceStreams(
    changes,
    { changes: log, live, places: createStreamPlaces(redis) },
    {
      clock: { now: Date.now, after: startTimer },
      heartbeatMs: HEARTBEAT_MS,
      presence: null,
      createId: () => crypto.randomUUID(),
      remembers: true,
      onEvent: () => undefined,
      openLog: (of) => spaceLog.open(of),
    },
  );
  const target = { ...address, actor: null };
  const optionsFor = (key: string | null) => ({
    principal: 'p',
    defer,
    idempotency: key === null ? null : { key, fingerprint: 'same' },
  });
  const put = (id: string): Operation[] => [{ op: 'put', id, name: id }];

  return {
    address,
    layer,
    drain,
    changes,
    log,
    /** Appends without a drain. @returns its seq */
    queue: async (id: string, key: string | null = null): Promise<Seq> =>
      (await undrained.enqueue(target, put(id), optionsFor(key))).seq,
    commit: (id: string) => spaceLog.commit(target, put(id), optionsFor(null)),
    /** Drains all spaces, as the schedule does. */
    sweep: () => drain.sweep({ budgetMs: 20_000 }),
    /** Waits for the work that no answer waits for. */
    async settle() {
      while (deferred.length > 0) await Promise.allSettled(deferred.splice(0));
    },
    /** The world by each way of reading. */
    async readAll(): Promise<{ json: Names; lines: Names; list: Names; single: Names; seq: Seq }> {
      const json = await layer.loadWorldState();
      const lines: Names = {};
      for await (const line of (await layer.streamWorldState()).lines)
        if (line.kind === 'object') lines[line.id] = line.name;
      const { items } = await layer.listObjects({ limit: 1_000 });
      const single = await Promise.all(items.map(({ id }) => layer.getObject(id)));
      return {
        json: toNames(json.objects),
        lines,
        list: toNames(items),
        single: toNames(single),
        seq: json.seq,
      };
    },
    async follow(from: { seq: Seq; isExact: boolean } | null): Promise<Follower> {
      const request = { ...address, principal: { kind: 'key', id: 'k' } as const, from, defer };
      for (;;) {
        try {
          return new Follower(await streams.open({ ...request, isAllowed: async () => true }));
        } catch (error) {
          // Just after a restart. A client would also retry.
          if (!isAway(error)) throw error;
          await pause(20);
        }
      }
    },
    close: () => streams.endAll(),
  };
}

export type Process = ReturnType<typeof openProcess>;

/** The events of a stream, in order. */
export class Follower {
  readonly events: { event: string; seq: Seq }[] = [];

  constructor(stream: { take(): Promise<Uint8Array | null> }) {
    const parser = createParser({
      onEvent: ({ event = 'message', data }) => {
        if (event === 'change' || event === 'reset')
          this.events.push({ event, seq: (JSON.parse(data) as { seq: Seq }).seq });
      },
    });
    const decoder = new TextDecoder();
    const read = async () => {
      for (let piece = await stream.take(); piece !== null; piece = await stream.take())
        parser.feed(decoder.decode(piece, { stream: true }));
    };
    void read();
  }

  async has(event: 'change' | 'reset', isIt: (seq: Seq) => boolean = () => true): Promise<void> {
    await expect.poll(() => this.events.some((one) => one.event === event && isIt(one.seq))).toBe(true);
  }
}

/**
 * Checks that the space continues. All ways of reading agree on a world that has `committed`, before and after another
 * write. The seq of that write is above all `seqs`. A follower that starts at the state gets that write.
 * @returns the world before that write
 */
export async function expectContinues(
  process: Process,
  { committed, seqs, name }: { committed: readonly string[]; seqs: readonly Seq[]; name: string },
): Promise<Names> {
  // The schedule commits the queued writes that are not lost.
  await process.sweep();
  const before = await process.readAll();
  const { json } = before;
  expect(before).toMatchObject({ lines: json, list: json, single: json });
  expect(Object.keys(json)).toEqual(expect.arrayContaining([...committed]));
  const follower = await process.follow({ seq: before.seq, isExact: true });
  const { seq } = await process.commit(name);
  for (const one of seqs) expect(seq).toBeGreaterThan(one);
  await follower.has('change', (told) => told === seq);
  expect(follower.events.filter(({ event }) => event === 'reset')).toEqual([]);
  const { changes, head } = await process.changes.list(process.address, { since: before.seq });
  expect([changes.map((change) => change.seq), head]).toEqual([[seq], seq]);
  const after = await process.readAll();
  const world = { ...json, [name]: name };
  expect(after).toEqual({ json: world, lines: world, list: world, single: world, seq });
  return json;
}

function toNames(objects: readonly { id: string; name: string | null }[]): Names {
  return Object.fromEntries(objects.map(({ id, name }) => [id, name]));
}
