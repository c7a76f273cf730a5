import type { EventCounts } from './events/event-log.ts';
import { AppError } from './world/errors.ts';
import type { WorldEvent } from './world/event.ts';
import { checkEvents } from './world/event-schema.ts';
import { LIMITS } from './world/limits.ts';

/** The counts of a request with events. The added event is one of them. */
export type BatchEventResult = EventCounts;

interface EventItem {
  event: WorldEvent;
  resolve: (result: BatchEventResult) => void;
  reject: (error: unknown) => void;
}

export interface BatchEventsOptions {
  send: (input: { events: WorldEvent[] }) => Promise<EventCounts>;
  /** Milliseconds that an event waits for others, at most. */
  flushMs: number;
  /** This many events are sent immediately. */
  itemsMax: number;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** The events of a BatchProcessor. They are sent once: events are dropped rather than held. */
export class BatchEvents {
  readonly #options: BatchEventsOptions;
  #waiting: EventItem[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #underWay = new Set<Promise<void>>();
  readonly #counts: EventCounts = { accepted: 0, duplicates: 0, dropped: 0 };
  #failed = 0;
  #isClosed = false;

  constructor(options: BatchEventsOptions) {
    this.#options = options;
  }

  /** Events that were added and not sent yet. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Events that were refused. */
  get failed(): number {
    return this.#failed;
  }

  get counts(): EventCounts {
    return { ...this.#counts };
  }

  add(input: unknown): Promise<BatchEventResult> {
    const { promise, resolve, reject } = Promise.withResolvers<BatchEventResult>();
    // Game servers often do not await this. A rejection must not end their process.
    promise.catch(() => undefined);
    try {
      if (this.#isClosed) throw new AppError('conflict', 'This BatchProcessor has been shut down.');
      const [event] = checkEvents({ events: [input] }, { nowMs: this.#options.now() });
      // The caller's own object may be changed before it is sent.
      this.#waiting.push({ event: structuredClone(event as WorldEvent), resolve, reject });
      if (this.#waiting.length >= this.#options.itemsMax) this.send();
      else this.#timer ??= setTimeout(() => this.send(), this.#options.flushMs);
    } catch (error) {
      this.#failed++;
      reject(error);
    }
    return promise;
  }

  send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#waiting.length > 0) {
      const sending = this.#append(this.#waiting.splice(0, LIMITS.eventsPerRequestMax));
      this.#underWay.add(sending);
      void sending.finally(() => this.#underWay.delete(sending));
    }
  }

  /** Resolves when everything that was sent has been taken or refused. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Takes nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  async #append(items: EventItem[]): Promise<void> {
    try {
      const counts = await this.#options.send({ events: items.map(({ event }) => event) });
      this.#counts.accepted += counts.accepted;
      this.#counts.duplicates += counts.duplicates;
      this.#counts.dropped += counts.dropped;
      for (const { resolve } of items) resolve(counts);
    } catch (error) {
      this.#failed += items.length;
      for (const { reject } of items) reject(error);
    }
  }
}
