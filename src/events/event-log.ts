import { withTimeout } from '../helpers/time.ts';
import { isAway } from '../world/errors.ts';
import type { WorldEvent } from '../world/event.ts';
import { LIMITS } from '../world/limits.ts';
import type { AppendedEvents, EventBatch, EventEntries, EventLogStore, EventTable } from './event-stores.ts';

/** How many events of a request were taken. A dropped event may be sent again. */
export interface EventCounts {
  accepted: number;
  /** Events whose id was accepted within the last hour. */
  duplicates: number;
  dropped: number;
}

/**
 * Why events are dropped. `backlog` and `tenant_backlog`: too many wait for Postgres, of all tenants or of one. `redis_full`. `store_away`:
 * no store took them; after a lost answer it may have. `late`: no store took them in time. `held`: a process held too many of its own.
 * `disabled`: analytics is off.
 */
export type DropReason =
  | 'backlog'
  | 'tenant_backlog'
  | 'redis_full'
  | 'store_away'
  | 'late'
  | 'held'
  | 'disabled';

/**
 * Counts for metrics. `events_received`, by `outcome` (accepted, duplicate or dropped) and, if dropped, by `reason`. `events_stored`, by
 * `outcome` (stored, or refused by Postgres).
 */
export type Count = (name: string, labels: Readonly<Record<string, string>>, n: number) => void;

export interface EventLogOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  createId: () => string;
  /** False: all events are dropped. */
  isEnabled?: boolean;
  count?: Count;
  onEvent?: (told: { event: 'events_dropped' | 'events_drain_failed'; cause: unknown }) => void;
}

export interface EventDrainReport {
  /** Events that are in Postgres now. */
  stored: number;
  /** Events that Postgres cannot store. */
  refused: number;
  /** Nothing waits any more, or another drain has taken over. */
  isDone: boolean;
}

/** A failed read may be too large. A batch of one entry is not made smaller. */
const SHRINK = 8;

/**
 * Events for analysts, apart from the logs of worlds. Redis takes the events of a request in one command. Drains move them to Postgres
 * exactly once: the transaction that stores a batch also moves the cursor of the log.
 *
 * Under load, events are dropped first, and counted. An append never fails and takes a second at most, because no caller and no world may
 * wait for analytics. Without a Redis, each request is stored directly, which may take longer.
 */
export class EventLog {
  readonly #redis: EventLogStore | null;
  readonly #postgres: EventTable;
  readonly #options: Required<EventLogOptions>;
  readonly #ending = new AbortController();
  #isFailing = false;

  constructor(redis: EventLogStore | null, postgres: EventTable, options: EventLogOptions) {
    this.#redis = redis;
    this.#postgres = postgres;
    this.#options = { isEnabled: true, count: () => undefined, onEvent: () => undefined, ...options };
  }

  get isEnabled(): boolean {
    return this.#options.isEnabled;
  }

  /** The process ends: drains that are not due begin now. */
  end(): void {
    this.#ending.abort();
  }

  /**
   * Takes checked events of one tenant.
   * @param defer keeps a drain going that the caller does not wait for
   * @param person the person who sends them, whose ids are no ids of others; null: a server
   */
  async append(
    tenantId: string,
    events: readonly WorldEvent[],
    defer: (work: Promise<unknown>) => void,
    person: string | null = null,
  ): Promise<EventCounts> {
    const { isEnabled, createId, now, count, onEvent } = this.#options;
    if (!isEnabled) return this.drop(events.length, 'disabled');
    const at = new Date(now()).toISOString();
    const texts = events.map(({ id, spaceId: space, userId: user, ...event }) => ({
      callerId: id === undefined || person === null ? (id ?? null) : `${person}!${id}`,
      text: JSON.stringify({
        id: id ?? createId(),
        type: event.type,
        ...(space && { space }),
        ...(user && { user }),
        at: event.at === undefined ? at : new Date(event.at).toISOString(),
        ...(event.data && { data: event.data }),
      }),
    }));
    let isLate = false;
    const createLate = () => {
      isLate = true;
      return new Error('no store took the events in time');
    };
    let appended: AppendedEvents;
    try {
      const append = this.#redis
        ? this.#redis.append(tenantId, texts, person === null ? 'server' : 'person')
        : this.#storeDirectly(
            tenantId,
            texts.map(({ text }) => text),
          );
      const msMax = this.#redis === null ? LIMITS.storeSlowMs : LIMITS.eventsAppendMsMax;
      appended = await withTimeout(msMax, append, createLate);
      this.#isFailing = false;
    } catch (cause) {
      // Once an outage.
      if (!this.#isFailing) onEvent({ event: 'events_dropped', cause });
      this.#isFailing = true;
      return this.drop(events.length, isLate ? 'late' : 'store_away');
    }
    const { accepted, duplicates, dropped, drain } = appended;
    if (drain !== null) defer(this.#drainSoon(drain));
    count('events_received', { outcome: 'accepted' }, accepted);
    if (duplicates > 0) count('events_received', { outcome: 'duplicate' }, duplicates);
    const droppedCounts = [
      this.drop(dropped.backlog, 'backlog'),
      this.drop(dropped.tenantBacklog, 'tenant_backlog'),
      this.drop(dropped.memory, 'redis_full'),
    ];
    return {
      accepted,
      duplicates,
      dropped: droppedCounts.reduce((sum, { dropped }) => sum + dropped, 0),
    };
  }

  /** Counts events that nobody takes. */
  drop(dropped: number, reason: DropReason): EventCounts {
    if (dropped > 0) this.#options.count('events_received', { outcome: 'dropped', reason }, dropped);
    return { accepted: 0, duplicates: 0, dropped };
  }

  /**
   * Moves waiting events to Postgres, also while another drain runs.
   * @throws store_unavailable; then they wait for the next drain
   */
  async drain({
    budgetMs,
    token = null,
  }: {
    budgetMs: number;
    token?: string | null;
  }): Promise<EventDrainReport> {
    const report = { stored: 0, refused: 0, isDone: true };
    if (this.#redis === null) return report;
    const { now } = this.#options;
    const endMs = now() + budgetMs;
    for (let shares = 1; ; ) {
      const read = await this.#redis.read(token, {
        bytesMax: Math.ceil(LIMITS.eventsBatchBytesMax / shares),
        eventsMax: Math.ceil(LIMITS.eventsBatchMax / shares),
      });
      if (read.status !== 'read') return report;
      const outcome = await this.#store(read);
      if (outcome === 'too large') {
        shares *= SHRINK;
        continue;
      }
      report.stored += outcome.stored;
      report.refused += outcome.refused;
      const isOut = now() >= endMs;
      const { isEmpty } = await this.#redis.settle({
        name: read.name,
        cursor: outcome.cursor,
        token,
        ends: isOut,
      });
      if (isEmpty) return report;
      if (isOut) return { ...report, isDone: false };
    }
  }

  async #store({
    name,
    settled,
    entries,
  }: EventEntries): Promise<{ stored: number; refused: number; cursor: number } | 'too large'> {
    const to = entries.at(-1)?.seq ?? settled;
    try {
      const outcome = await this.#postgres.storeEvents({ log: { name, from: settled, to }, entries });
      if (outcome.status === 'moved') return { stored: 0, refused: 0, cursor: outcome.cursor };
      this.#countStored(outcome);
      return { ...outcome, cursor: to };
    } catch (error) {
      if (isAway(error) && error.retrySmaller && entries.length > 1) return 'too large';
      throw error;
    }
  }

  async #storeDirectly(tenantId: string, texts: string[]): Promise<AppendedEvents> {
    const batch: EventBatch = {
      log: null,
      entries: [{ tenantId, seq: null, events: `[${texts.join(',')}]` }],
    };
    const outcome = await this.#postgres.storeEvents(batch);
    if (outcome.status === 'stored') this.#countStored(outcome);
    return {
      accepted: texts.length,
      duplicates: 0,
      dropped: { backlog: 0, tenantBacklog: 0, memory: 0 },
      drain: null,
    };
  }

  #countStored({ stored, refused }: { stored: number; refused: number }): void {
    const { count } = this.#options;
    count('events_stored', { outcome: 'stored' }, stored);
    if (refused > 0) count('events_stored', { outcome: 'refused' }, refused);
  }

  async #drainSoon({ token, afterMs }: { token: string; afterMs: number }): Promise<void> {
    const { pause, onEvent } = this.#options;
    if (!this.#ending.signal.aborted) await pause(afterMs, this.#ending.signal);
    try {
      await this.drain({ budgetMs: LIMITS.drainMsMax, token });
    } catch (cause) {
      // After its lease, the next append claims another drain. The schedule drains too.
      onEvent({ event: 'events_drain_failed', cause });
    }
  }
}
