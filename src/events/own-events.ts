import type { OwnEventType, WorldEvent } from '../world/event.ts';
import { LIMITS } from '../world/limits.ts';
import type { EventLog } from './event-log.ts';

/** An event of the product itself. Its type is one of a list. */
export interface OwnEvent extends WorldEvent {
  type: OwnEventType;
}

type Defer = (work: Promise<unknown>) => void;

/** Milliseconds for which a process gathers its events. */
const FLUSH_MS = 500;
/** Milliseconds after which an announced flush is not waited for: its request may have ended before. */
const FLUSH_LATE_MS = 2_000;

/** Gathers the events that the product writes itself, and appends them a moment later. No request waits for them, and none fails. */
export class OwnEvents {
  readonly #log: Pick<EventLog, 'append' | 'drop' | 'isEnabled'>;
  readonly #now: () => number;
  readonly #pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly #ending = new AbortController();
  #held: { tenantId: string; event: OwnEvent }[] = [];
  /** Until then the held events have a flush. */
  #flushByMs = Number.NEGATIVE_INFINITY;

  constructor(
    log: Pick<EventLog, 'append' | 'drop' | 'isEnabled'>,
    { now, pause }: { now: () => number; pause: (ms: number, signal?: AbortSignal) => Promise<void> },
  ) {
    this.#log = log;
    this.#now = now;
    this.#pause = pause;
  }

  /** @param defer keeps the flush going after the answer of this request */
  record(tenantId: string, event: OwnEvent, defer: Defer): void {
    if (!this.#log.isEnabled) return;
    if (this.#held.length >= LIMITS.ownEventsHeldMax) {
      this.#log.drop(1, 'held');
      return;
    }
    const nowMs = this.#now();
    this.#held.push({ tenantId, event: { at: new Date(nowMs).toISOString(), ...event } });
    if (nowMs < this.#flushByMs) return;
    this.#flushByMs = nowMs + FLUSH_LATE_MS;
    defer(this.#pause(FLUSH_MS, this.#ending.signal).then(() => this.flush(defer)));
  }

  /** Forgets the held events of a person who is erased. */
  forget(tenantId: string, userId: string): void {
    this.#held = this.#held.filter((held) => held.tenantId !== tenantId || held.event.userId !== userId);
  }

  /** Appends what is held. */
  async flush(defer: Defer): Promise<void> {
    const held = this.#held;
    this.#held = [];
    this.#flushByMs = Number.NEGATIVE_INFINITY;
    const byTenant = Map.groupBy(held, ({ tenantId }) => tenantId);
    await Promise.all(
      Array.from(byTenant, ([tenantId, own]) =>
        this.#log.append(
          tenantId,
          own.map(({ event }) => event),
          defer,
        ),
      ),
    );
  }

  /** The process ends: what is held is appended now. */
  async end(defer: Defer): Promise<void> {
    this.#ending.abort();
    await this.flush(defer);
  }
}
