import { type Mock, vi } from 'vitest';
import { ManualClock } from '../../../test/manual-clock.ts';
import type { DeadOperation } from '../../world/batch.ts';
import { AppError } from '../../world/errors.ts';
import type { LogOperation, Operation, OperationResult } from '../../world/operation.ts';
import type { SnapshotLag } from '../../world/snapshot-lag.ts';
import type { Seq } from '../../world/types.ts';
import { Drain, type DrainEvent, type DrainRun } from '../drain.ts';
import type { DrainStore, LogAddress, LogStore, LogTear, RawEntry } from '../log-stores.ts';
import { type AppendOptions, SpaceLog, type SpaceLogOptions } from '../space-log.ts';

export const ADDRESS = { tenantId: 't', spaceId: 'main' };
/** Where the log and Postgres are before the first append. */
export const START: Seq = 999_000_000;
/** Milliseconds that a drain rests when Redis lets it. */
export const REST_MS = 250;
/** The time of a drain, unless a test gives another. */
export const BUDGET = { budgetMs: 20_000 };
const TOKEN = 'claimed';
/** Appends, reads and batches of one test. A drain that never ends fails its test, instead of blocking the process. */
const STEPS_MAX = 500;
/** The space, the author and the operations of an append, unless a test gives others. */
export const TARGET = { ...ADDRESS, actor: 'mia' };
export const PUT: Operation[] = [{ op: 'put', id: 'a' }];
export const BACKLOG = { bytesMax: 1_000, entriesMax: 10, ageMsMax: 900 };

export const away = () => new AppError('store_unavailable', 'away');
export const tooMuch = () => new AppError('store_unavailable', 'too long', { retrySmaller: true });

type Store = { [Name in keyof LogStore]: Mock<LogStore[Name]> } & {
  [Name in keyof DrainStore]: Mock<DrainStore[Name]>;
};

/**
 * One space in memory: its log, as Redis holds it, and its world, as Postgres does. They follow the contracts of LogStore and
 * DrainStore. Every method is a mock, so a test can read its calls and replace an answer. Only `clock.pass` lets time pass.
 */
export function makeStores() {
  const clock = new ManualClock();
  const pauses: number[] = [];
  let tokens = 0;
  let steps = 0;
  const log = {
    status: 'open' as 'open' | 'cold' | 'deleted',
    incarnation: 'one',
    last: START,
    committed: START,
    entries: [] as RawEntry[],
    /** The newest break. */
    tear: null as LogTear | null,
    /** Where the log ended when Redis restarted while entries waited. */
    restartedAt: 0,
    /** Of the drain that holds the claim. */
    token: null as string | null,
    /** Milliseconds after which the next append has its caller drain; null: another drain holds the claim. */
    drainAfterMs: null as number | null,
    /** The most entries that one read returns. */
    readMax: 1_000,
    snapshot: null as SnapshotLag | null,
  };
  const world = {
    incarnation: 'one',
    cursor: START,
    isLogOpen: true,
    objects: new Map<string, Seq>(),
    /** Ids of objects that Postgres cannot keep. */
    unkeepable: new Set<string>(),
    uncorrected: [] as DeadOperation[],
    results: new Map<Seq, OperationResult[]>(),
  };

  /** Adds an entry at the log's end. @returns its seq */
  function add(ops: LogOperation[] | string, { waits = false, actor = null as string | null } = {}): Seq {
    const seq = Math.max(log.last + 1, clock.now() * 1_000);
    const text = typeof ops === 'string' ? ops : JSON.stringify(ops);
    log.entries.push({ seq, prev: log.last, actor, ops: text, count: JSON.parse(text).length, waits });
    log.last = seq;
    return seq;
  }
  function tear(why: LogTear['why'], lostTo: Seq): void {
    log.last = Math.max(log.last + 1, clock.now() * 1_000);
    log.tear = { at: log.last, why, lostTo };
  }
  const put = (id: string, waits = false) => add([{ op: 'put', id }], { waits });
  function step(): void {
    if (++steps > STEPS_MAX) throw new Error(`The drain did not end after ${STEPS_MAX} steps.`);
  }

  const redis: Pick<Store, keyof LogStore> = {
    remembersKey: vi.fn(async () => false),
    append: vi.fn(async (_, { actor, entries, waits, opened, endsAt = null }) => {
      step();
      const { status, incarnation, last, committed, drainAfterMs } = log;
      if (opened !== null && (status === 'cold' || opened.incarnation !== incarnation)) {
        const end = Math.max(last, opened.cursor);
        Object.assign(log, { status: 'open', last: end, committed: opened.cursor, token: null });
        log.incarnation = opened.incarnation;
      } else if (status === 'cold') return { status, isLogAbsent: true };
      else if (status === 'deleted') return { status, incarnation };
      if (endsAt !== null && endsAt !== log.last) return { status: 'ahead' };
      const seqs = entries.map(({ ops }) => add(ops, { waits, actor }));
      const token = drainAfterMs === null ? '' : `token-${++tokens}`;
      if (token !== '') log.token = token;
      return {
        status: 'appended',
        firstSeq: seqs[0] ?? log.last,
        seq: log.last,
        isRepeat: false,
        messageIds: [],
        accepted: entries.reduce((sum, { count }) => sum + count, 0),
        incarnation: log.incarnation,
        drainAfterMs,
        token,
        budget: null,
        after: last === committed ? last : null,
      };
    }),
    setChat: vi.fn(async () => undefined),
    readInstance: vi.fn(async () => 'redis-1'),
    read: vi.fn(async (_, { after, token }) => {
      step();
      const { status, incarnation, committed, entries, readMax, restartedAt } = log;
      if (status === 'cold') return { status };
      if (status === 'deleted') return { status, incarnation };
      if (token !== null && token !== log.token) return { status: 'relieved' };
      const from = after ?? committed;
      const found = entries.filter(({ seq }) => seq > from).slice(0, readMax);
      const isEndMissing = found.length === 0 && from >= committed && log.last > from;
      if (isEndMissing && log.last !== log.tear?.at) tear('lost', log.last);
      return {
        status: 'read',
        incarnation,
        after: from,
        last: log.last,
        entries: found,
        tear: log.tear,
        restartedAt,
      };
    }),
    tear: vi.fn(async (_, { to }) => tear('told', to)),
    noteDurable: vi.fn(),
    settle: vi.fn(async (_, { committed, token, next }) => {
      log.committed = Math.max(log.committed, committed);
      const { last, entries, snapshot } = log;
      const isDrained = last === log.committed;
      const isElected = token !== null && token === log.token;
      const isAwaited = entries.some(({ seq, waits }) => waits && seq > log.committed);
      if (isDrained || (isElected && next === 'stop')) log.token = null;
      const rests = next === 'pause' && isElected && !isDrained && !isAwaited;
      return { last, isDrained, restMs: rests ? REST_MS : 0, snapshot };
    }),
    retire: vi.fn(async () => void Object.assign(log, { status: 'deleted' })),
    listDirty: vi.fn(async () => (log.last > log.committed ? [{ ...ADDRESS, oldestSeq: log.last }] : [])),
    readStats: vi.fn(),
    readBacklog: vi.fn(),
    findFault: vi.fn(async () => null),
    isFull: vi.fn(async () => false),
    readNoEffects: vi.fn(async () => ({ committed: log.committed, operations: [] })),
  };

  const openedLog = () => ({ incarnation: world.incarnation, incarnationSeq: 1, cursor: world.cursor });
  const postgres: Pick<Store, keyof DrainStore> = {
    openLog: vi.fn(async () => openedLog()),
    loadCursor: vi.fn(async () => ({ ...openedLog(), isLogOpen: world.isLogOpen })),
    noteReaderAhead: vi.fn(),
    loadSeqs: vi.fn(async (_, ids) => ({
      cursor: world.cursor,
      seqs: new Map(ids.map((id) => [id, world.objects.get(id) ?? 0])),
    })),
    applyBatch: vi.fn(async (_, { incarnation, from, to, objects, singles, results }) => {
      step();
      const { cursor, unkeepable } = world;
      if (incarnation !== world.incarnation || from !== cursor)
        return { status: 'moved', cursor, incarnation: world.incarnation };
      const objectIds = objects.flatMap(({ kind, id }) =>
        kind !== 'delete' && unkeepable.has(id) ? [id] : [],
      );
      if (objectIds.length > 0) return { status: 'poisoned', objectIds, userIds: [], messageIds: [] };
      const absent = objects.flatMap(({ kind, id }) =>
        kind !== 'put' && !world.objects.has(id) ? [id] : [],
      );
      for (const { kind, id, seq } of objects)
        if (kind === 'delete') world.objects.delete(id);
        else if (kind === 'put' || world.objects.has(id)) world.objects.set(id, seq);
      const dead = singles.flatMap(({ seq, index, op: { id } }) =>
        unkeepable.has(id) ? [makeDead(id, { seq, index })] : [],
      );
      world.uncorrected.push(...dead);
      for (const { seq, results: those } of results) world.results.set(seq, those);
      world.cursor = to;
      const missing = { objects: absent, users: [], messages: [] };
      return { status: 'applied', unknown: 0, dead, absent: missing, noEffects: [] };
    }),
    applyStage: vi.fn(async (_, { to }) => {
      world.cursor = to;
      return { status: 'applied', objects: 1 };
    }),
    dropStage: vi.fn(async () => undefined),
    readResults: vi.fn(async (_, firstSeq, seq) => {
      if (world.cursor < seq) return null;
      return new Map([...world.results].filter(([at]) => at >= firstSeq && at <= seq));
    }),
    listUncorrected: vi.fn(async (_, limit) => world.uncorrected.slice(0, limit)),
    markCorrected: vi.fn(async (_, ids) => {
      world.uncorrected = world.uncorrected.filter(({ deadLetterId }) => !ids.includes(deadLetterId));
    }),
    sweepAllRecords: vi.fn(async () => 0),
    readWritten: vi.fn(async () => null),
    loadObjects: vi.fn(async () => []),
    loadAvatars: vi.fn(async () => []),
  };

  /** Returns the names of the methods called, in order, and forgets the calls. */
  function takeCalls(): string[] {
    const methods = Object.entries<Mock>({ ...redis, ...postgres });
    const calls = methods.flatMap(([name, { mock }]) =>
      mock.invocationCallOrder.map((order) => ({ name, order })),
    );
    for (const [, method] of methods) method.mockClear();
    return calls.sort((a, b) => a.order - b.order).map(({ name }) => name);
  }

  function pause(ms: number, signal?: AbortSignal): Promise<void> {
    pauses.push(ms);
    return new Promise((resolve) => {
      const stop = clock.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        stop();
        resolve();
      });
    });
  }

  return { clock, pause, pauses, log, world, redis, postgres, add, put, takeCalls };
}

/** The same stores with a drain, the events that it told and the messages that it sent to QStash. */
export function makeDrain() {
  const stores = makeStores();
  const { clock, pause, log, redis, postgres } = stores;
  const told: DrainEvent[] = [];
  const publishDrain = vi.fn(async (_: LogAddress & { delaySeconds: number }) => undefined);
  const drain = new Drain(redis, postgres, {
    now: () => clock.now(),
    pause,
    publishDrain,
    onEvent: (event) => void told.push(event),
    retention: { resultsSeconds: 30, deadLetterDays: 7 },
  });
  return {
    ...stores,
    told,
    publishDrain,
    drain,
    batches: () => postgres.applyBatch.mock.calls.map(([, batch]) => batch),
    settles: () => redis.settle.mock.calls.map(([, request]) => request),
    /** Runs the drain that an append claimed. */
    runElected(run: Partial<DrainRun> = {}) {
      log.token = TOKEN;
      return drain.run(ADDRESS, { token: TOKEN, ...BUDGET, ...run });
    },
  };
}

/** The same with a space log. `run` records each drain that it starts, and `settle` waits for deferred work. */
export function makeSpaceLog(options: Partial<SpaceLogOptions> = {}) {
  const deps = makeDrain();
  const { clock, pause, redis, postgres, drain } = deps;
  const run = vi.fn<Drain['run']>((address, how) => drain.run(address, how));
  const spaceLog = new SpaceLog(
    redis,
    postgres,
    { run },
    {
      now: () => clock.now(),
      pause,
      backlog: BACKLOG,
      commitsAlways: false,
      idempotencyTtlSeconds: 600,
      requestsPerMinute: 0,
      updatesPerMinute: 0,
      messagesPerMinute: 0,
      ...options,
    },
  );
  const deferred: Promise<unknown>[] = [];
  const appending: AppendOptions = { principal: 'p', defer: (work) => void deferred.push(work) };
  return {
    ...deps,
    run,
    spaceLog,
    deferred,
    appending,
    settle: () => Promise.all(deferred.splice(0)),
    enqueue: (operations = PUT, more: Partial<AppendOptions> = {}) =>
      spaceLog.enqueue(TARGET, operations, { ...appending, ...more }),
    commit: (operations = PUT) => spaceLog.commit(TARGET, operations, appending),
    /** Runs the drain of another process. */
    drainElsewhere: () => drain.drainSpace(ADDRESS, BUDGET),
  };
}

/** Runs one of the steps in each of the next calls of a method, before the method answers. */
export function meanwhile<Args extends unknown[], Answer>(
  method: Mock<(...args: Args) => Promise<Answer>>,
  ...steps: (() => unknown)[]
): void {
  const answer = method.getMockImplementation();
  if (answer === undefined) throw new Error('The method has no answer of its own.');
  for (const step of steps)
    method.mockImplementationOnce(async (...args) => {
      await step();
      return answer(...args);
    });
}

/** An operation that Postgres could not keep. */
export function makeDead(id: string, place: Partial<DeadOperation> = {}): DeadOperation {
  return {
    deadLetterId: `letter-${id}`,
    seq: START,
    index: 0,
    kind: 'object',
    id,
    propertyKeys: [],
    ...place,
  };
}
