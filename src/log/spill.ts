import { AppError, isAway, isOutage, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import { nameOf } from './batch-sizes.ts';
import type { Drain } from './drain.ts';
import type { DrainStore, LogAddress, LogStore } from './log-stores.ts';
import { keyReused, spillFull } from './refusals.ts';
import type { Defer, SpaceLog } from './space-log.ts';
import { isCommitted, type KeptRequest, type SpilledRequest, type SpillStore } from './spill-store.ts';

export interface SpillOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  pause: (ms: number) => Promise<void>;
  idempotencyTtlSeconds: number;
  limits: { bytesMax: number; entriesMax: number };
  /** Milliseconds for which a process tries to return what it spilled. */
  returnMsMax: number;
  onEvent: (told: SpillEvent) => void;
}

export interface SpillEvent {
  event: 'spill_returned' | 'spill_buried' | 'spill_return_failed';
  address: LogAddress;
  /** Requests; of `spill_buried`, operations. */
  count?: number;
  cause?: unknown;
}

/** The outcome of one return. `left`: some requests still wait. */
export interface ReturnReport {
  returned: number;
  buried: number;
  isLeft: boolean;
}

/** Requests in the memory of this process, which are not in Postgres yet. */
interface HeldRequests {
  holds(address: LogAddress): boolean;
  /** Moves them to Postgres. @throws store_unavailable */
  store(): Promise<void>;
}

const RETRY_FIRST_MS = 500;
const RETRY_MS_MAX = 2_000;
const SPACES_MAX = 1_000;
/** Quotes are four times as long in the answers of Neon. */
const LIST_PAGE = { requestsMax: 5_000, bytesMax: 2 * 1024 * 1024 };

/**
 * The requests that were accepted while Redis was away. They wait in Postgres, and take their place in the log when Redis returns:
 * possibly behind newer writes. Each is appended under its key, so it is applied once even if an earlier append of it was run.
 */
export class Spill {
  readonly #store: SpillStore;
  readonly #postgres: Pick<DrainStore, 'loadCursor'>;
  readonly #options: SpillOptions;
  /** The spaces that this process has spilled requests of. */
  readonly #waiting = new Map<string, LogAddress>();
  /** The returns that run, by space, and until when they count as running. */
  readonly #returning = new Map<string, { promise: Promise<ReturnReport>; untilMs: number }>();
  #log: Pick<SpaceLog, 'appendSpilled'> | null = null;
  #memory: HeldRequests | null = null;
  #drain: Pick<Drain, 'run'> | null = null;
  #redis: Pick<LogStore, 'readInstance' | 'remembersKey' | 'isFull'> | null = null;
  /** Until when this process tries to return requests. A Worker may be ended in the middle of a try. */
  #tryingUntilMs = 0;
  #isEnded = false;

  constructor(store: SpillStore, postgres: Pick<DrainStore, 'loadCursor'>, options: SpillOptions) {
    this.#store = store;
    this.#postgres = postgres;
    this.#options = options;
  }

  /** From now on spilled requests return into this log. */
  useLog(
    log: Pick<SpaceLog, 'appendSpilled'>,
    drain: Pick<Drain, 'run'>,
    redis: Pick<LogStore, 'readInstance' | 'remembersKey' | 'isFull'>,
  ): void {
    this.#log = log;
    this.#drain = drain;
    this.#redis = redis;
  }

  /** From now on a return also takes the requests that this process holds in memory. */
  useMemory(memory: HeldRequests): void {
    this.#memory = memory;
  }

  /**
   * Stores a request whose append failed, and tries to return it soon.
   * @param keySeconds for how long Redis may know the key; null: no append was sent under it
   * @param incarnation only in this incarnation of the space
   * @returns the ids of its messages: of the first answer, if this is a repeat
   * @throws not_found, idempotency_key_reused, backlog_full; store_unavailable
   */
  async keep(
    { tenantId, spaceId }: LogAddress,
    request: SpilledRequest,
    {
      keySeconds,
      incarnation,
      defer,
    }: { keySeconds: number | null; incarnation?: string | undefined; defer: Defer },
  ): Promise<readonly string[]> {
    const address = { tenantId, spaceId };
    const { bytesMax, entriesMax } = this.#options.limits;
    const outcome = await this.#store.keep(address, request, {
      keySeconds: keySeconds === null ? null : remember(keySeconds),
      limits: { bytesMax, requestsMax: entriesMax },
      incarnation,
    });
    if (outcome === null) throw notFound('this space');
    if (outcome.status === 'key_reused') throw keyReused();
    if (outcome.status !== 'kept') throw spillFull();
    this.#noteWaiting(address, defer);
    return outcome.postedIds;
  }

  /**
   * The ids of the messages of a request that is spilled already, as they were first given; null: it is not.
   * @throws idempotency_key_reused; store_unavailable
   */
  async find(
    { tenantId, spaceId }: LogAddress,
    request: SpilledRequest,
    defer: Defer,
  ): Promise<readonly string[] | null> {
    const address = { tenantId, spaceId };
    const outcome = await this.#store.find(address, request);
    if (outcome === null) return null;
    if (outcome.status === 'key_reused') throw keyReused();
    this.#noteWaiting(address, defer);
    return outcome.postedIds;
  }

  /** This process answers for a request, so its reads must show it. */
  #noteWaiting(address: LogAddress, defer: Defer): void {
    this.#waiting.set(nameOf(address), address);
    if (this.#options.now() >= this.#tryingUntilMs) defer(this.#tryToReturn());
  }

  /**
   * The requests of a space that have not returned, in their order. Read in pages: Neon answers 10 MiB.
   * @returns `too_large` for more than a snapshot holds
   */
  async list(address: LogAddress): Promise<KeptRequest[] | 'too_large'> {
    const all: KeptRequest[] = [];
    let characters = 0;
    for (;;) {
      const page = await this.#store.list(address, { after: all.at(-1)?.spillId ?? 0, ...LIST_PAGE });
      if (page.length === 0) return all;
      for (const request of page) {
        all.push(request);
        for (const { ops } of request.entries) characters += ops.length;
      }
      if (characters > LIMITS.snapshotCharactersMax) return 'too_large';
    }
  }

  /** Whether this process knows of requests that have not returned. */
  isWaiting(address: LogAddress): boolean {
    return this.#waiting.has(nameOf(address)) || this.isHeld(address);
  }

  /** Whether this process holds requests of the space in memory, where no read shows them. */
  isHeld(address: LogAddress): boolean {
    return this.#memory?.holds(address) ?? false;
  }

  /** Returns the requests of a space, and commits them. @throws store_unavailable */
  async returnSpace(address: LogAddress): Promise<ReturnReport> {
    const { now, returnMsMax } = this.#options;
    const name = nameOf(address);
    const running = this.#returning.get(name);
    if (running !== undefined && now() < running.untilMs) {
      // In a Worker, no request may wait for a promise of another.
      if (returnMsMax !== Number.POSITIVE_INFINITY) return { returned: 0, buried: 0, isLeft: true };
      return running.promise;
    }
    const promise = this.#return(address).finally(() => {
      if (this.#returning.get(name)?.promise === promise) this.#returning.delete(name);
    });
    // A Worker may end a return in its middle. Two returns at the same time are safe: the keys make them one.
    const untilMs = returnMsMax === Number.POSITIVE_INFINITY ? returnMsMax : now() + LIMITS.drainMsMax;
    this.#returning.set(name, { promise, untilMs });
    return promise;
  }

  /** Returns the requests of all spaces, also the requests that other processes have spilled. @throws the first failure, at the end */
  async returnAll(): Promise<void> {
    if (this.#redis === null) return;
    let failure: unknown;
    for (const address of await this.#store.listSpaces(await this.#redis.readInstance(), SPACES_MAX))
      await this.returnSpace(address).catch((cause) => {
        failure ??= cause;
      });
    if (failure !== undefined) throw failure;
  }

  /** The process ends: it tries no longer. */
  end(): void {
    this.#isEnded = true;
  }

  /** Tries again and again, until nothing of this process waits. */
  async #tryToReturn(): Promise<void> {
    const { now, pause, returnMsMax, onEvent } = this.#options;
    const endMs = now() + returnMsMax;
    this.#tryingUntilMs = endMs;
    try {
      for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
        await pause(waitMs);
        if (this.#isEnded) return;
        for (const address of this.#waiting.values())
          try {
            await this.returnSpace(address);
          } catch (cause) {
            if (!isAway(cause)) onEvent({ event: 'spill_return_failed', address, cause });
            // If a store is away, it is away for the other spaces too.
            if (isOutage(cause)) break;
          }
        if (this.#waiting.size === 0 || now() >= endMs) return;
      }
    } finally {
      this.#tryingUntilMs = 0;
    }
  }

  async #return(address: LogAddress): Promise<ReturnReport> {
    const report: ReturnReport = { returned: 0, buried: 0, isLeft: false };
    const page = { requestsMax: LIMITS.spillPageRequestsMax, bytesMax: LIMITS.spillPageBytesMax };
    if (this.isHeld(address)) await this.#memory?.store();
    let known: LogAddress | undefined;
    let isDrained = false;
    for (;;) {
      known = this.#waiting.get(nameOf(address));
      const requests = await this.#store.list(address, page);
      if (requests.length === 0) break;
      if (!isDrained) {
        // A log that is full, or whose oldest entry is too old, would take none of them. They are listed again, for time passes.
        await this.#redis?.readInstance();
        await this.#drain?.run(address, { token: null, budgetMs: LIMITS.drainMsMax });
        isDrained = true;
        continue;
      }
      const { returned, buried } = await this.#returnPage(address, requests);
      report.returned += returned;
      report.buried += buried;
      if (returned + buried === 0) {
        report.isLeft = true;
        break;
      }
    }
    // A request that was spilled after the last look is another entry of the map.
    if (!report.isLeft && this.#waiting.get(nameOf(address)) === known) this.#waiting.delete(nameOf(address));
    const { onEvent } = this.#options;
    if (report.returned > 0) onEvent({ event: 'spill_returned', address, count: report.returned });
    return report;
  }

  /**
   * Appends the requests in their order, has them drained, and removes the requests that Postgres has. A second append
   * tells that: it is answered with the seq of the first, unless Redis has lost that entry since.
   */
  async #returnPage(
    address: LogAddress,
    requests: readonly KeptRequest[],
  ): Promise<{ returned: number; buried: number }> {
    const [log, drain, redis] = [this.#log, this.#drain, this.#redis];
    if (log === null || drain === null || redis === null) return { returned: 0, buried: 0 };
    // While Redis is away or full, nothing is sent, and no time of a key begins.
    await redis.readInstance();
    if (await redis.isFull())
      throw new AppError('store_unavailable', 'Redis is full: spilled writes wait.', {
        retryAfterSeconds: 5,
      });
    const known = await this.#postgres.loadCursor(address);
    // Its space was deleted: so are its writes.
    const gone = requests.filter(({ incarnation }) => incarnation !== known?.incarnation);
    const current = requests.filter(({ incarnation }) => incarnation === known?.incarnation);
    const done: number[] = [];
    const forgotten: KeptRequest[] = [];
    // An earlier return, which was cut, may have begun the time of a key again. Then Redis still knows it.
    for (const request of current.filter(({ isKeyForgotten }) => isKeyForgotten))
      if (!(await redis.remembersKey(address, request))) forgotten.push(request);
    const returning = current.filter((request) => !forgotten.includes(request));
    for (const request of forgotten) if (isCommitted(request, known?.cursor ?? 0)) done.push(request.spillId);
    await this.#store.noteSent(
      address,
      returning.map(({ spillId }) => spillId),
      remember(this.#keySeconds),
    );
    const { refused, places } = await this.#appendAll(address, returning, log);
    await this.#store.noteAppended(address, places);
    await drain.run(address, { token: null, budgetMs: LIMITS.drainMsMax });
    const committed = (await this.#postgres.loadCursor(address))?.cursor ?? 0;
    for (const request of returning) {
      if (refused.includes(request)) continue;
      const { seq, isRepeat } = await log.appendSpilled(address, request);
      // Without a break: a later request must not pass an earlier one.
      if (!isRepeat || seq > committed) break;
      done.push(request.spillId);
    }
    // A request that was appended is pending, or was lost as any pending entry may be.
    const dead = [...forgotten.filter(({ appendedSeq }) => appendedSeq === null), ...refused];
    let count = 0;
    for (const request of dead) count += await this.#store.bury(address, request);
    if (count > 0) this.#options.onEvent({ event: 'spill_buried', address, count });
    await this.#store.remove(address, [...done, ...gone.map(({ spillId }) => spillId)]);
    return { returned: done.length + gone.length, buried: dead.length };
  }

  /** @returns the places of the requests in the log, and the requests that it refuses for ever */
  async #appendAll(
    address: LogAddress,
    requests: readonly KeptRequest[],
    log: Pick<SpaceLog, 'appendSpilled'>,
  ): Promise<{ places: { spillId: number; seq: Seq }[]; refused: KeptRequest[] }> {
    const refused: KeptRequest[] = [];
    const places: { spillId: number; seq: Seq }[] = [];
    for (const request of requests)
      try {
        const { seq } = await log.appendSpilled(address, request);
        places.push({ spillId: request.spillId, seq });
      } catch (error) {
        const isRefused = error instanceof AppError && error.code === 'idempotency_key_reused';
        if (!isRefused) throw error;
        refused.push(request);
      }
    return { places, refused };
  }

  get #keySeconds(): number {
    return Math.max(this.#options.idempotencyTtlSeconds, LIMITS.appendKeySeconds);
  }
}

/** Seconds for which a key counts as known. */
function remember(seconds: number): number {
  return seconds - LIMITS.appendKeyMarginSeconds;
}
