import type { LogAddress, ReaderAhead } from '../log/log-stores.ts';
import {
  type Change,
  expandChange,
  HEARTBEAT_EVENT,
  type MoveForm,
  RETRY_EVENT,
  readLiveMessage,
  toChange,
  writeEvent,
} from '../world/change.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import type { ChangesOutcome, ChangesStore, LiveSource, LiveSubscription } from './live-stores.ts';
import { StreamOutput } from './stream-output.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once after so many milliseconds. @returns takes it back. */
  after(ms: number, run: () => void): () => void;
}

/** Why a stream ended. `gone`: its reader left. `refused`: it may not be read any more. `stopped`: the server ends. */
export type StreamEnd = 'gone' | 'slow' | 'retired' | 'refused' | 'stopped' | 'failed';

export interface StreamOptions {
  address: LogAddress;
  incarnation: string;
  /** The last seq that the reader has seen. */
  cursor: Seq;
  /** The cursor is a seq of this log, not just a place in its order: what comes next must name it as the one before. */
  isExact: boolean;
  /** The cursor is none of this log, which ends here: the stream begins with a reset. */
  resetAt: Seq | null;
  moves: MoveForm;
  /** Postgres has committed the log up to this seq; null if the reader did not ask for `committed` events. */
  committed: Seq | null;
  /** The reader named the cursor. */
  isNamed: boolean;
  changes: ChangesStore;
  live: LiveSource;
  clock: Clock;
  heartbeatMs: number;
  /** The reader named a seq that the log does not have: it ends at `last`, or continues there. */
  onAhead: (ahead: ReaderAhead) => void;
  /** Redis has forgotten a log that the stream read. */
  onForgotten: () => void;
  /** At every heartbeat. @returns whether the stream may go on. Never rejects. */
  onHeartbeat: () => Promise<boolean>;
  /** Called once. `cause`: of a failure. */
  onEnd: (end: StreamEnd, cause?: unknown) => void;
}

/** Milliseconds before a lost subscription is made again, or a failed read is repeated: doubled each time, up to the last. */
const RETRY_FIRST_MS = 100;
const RETRY_MS_MAX = 5_000;
/** Entries of one read; the limit of bytes matters more. */
const READ_ENTRIES_MAX = 1_000;

/**
 * A space's changes as one reader gets them: each once, in their order, with none left out, or `reset` where that cannot be.
 *
 *   subscribed ─► catching up ─► live ─┬─ a message that does not follow the cursor ──► catching up
 *                      ▲               ├─ a heartbeat, at which the log is compared ──► catching up
 *                      │               └─ the subscription was lost ─► subscribed again ─┐
 *                      └──────────────────────────────────────────────────────────────┘
 *
 * While it catches up, what is heard waits. Each entry names the one before it, so that whatever was heard, lost, or heard
 * twice, the cursor says what comes next.
 */
export class SpaceStream {
  readonly #options: StreamOptions;
  readonly #output = new StreamOutput(LIMITS.streamBufferBytesMax);
  #incarnation: string;
  #cursor: Seq;
  #isExact: boolean;
  /** The cursor is as the reader named it: the log has not confirmed it. */
  #isNamed: boolean;
  /** The highest committed seq that the stream knows; null if the reader did not ask for it. */
  #committed: Seq | null;
  /** The seq of the last `committed` event, -1 before the first. */
  #committedSent: Seq = -1;
  /** Whether the log was read once. Before that, the reader may have named a cursor above the end of the log. */
  #hasRead = false;
  #subscription: LiveSubscription | null = null;
  /** The current subscription. Messages of earlier ones are ignored. */
  #round = 0;
  #isSubscribing = false;
  #isReading = false;
  #readsAgain = false;
  /** Heard while catching up. */
  #waiting: Change[] = [];
  #waitingLength = 0;
  /** Whether anything was heard since the last heartbeat. */
  #hasHeard = false;
  #isAsking = false;
  #end: StreamEnd | null = null;
  readonly #pauses = new Set<() => void>();
  #cancelHeartbeat: () => void = () => undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#incarnation = options.incarnation;
    this.#cursor = options.cursor;
    this.#isExact = options.isExact;
    this.#isNamed = options.isNamed;
    this.#committed = options.committed;
  }

  /** Resolves when nothing can be missed any more. @throws store_unavailable */
  async open(): Promise<void> {
    this.#write(RETRY_EVENT);
    const { resetAt } = this.#options;
    if (resetAt !== null) this.#reset(resetAt);
    await this.#subscribe();
    this.#scheduleHeartbeat();
    void this.#catchUp();
  }

  /** The next text to send, null at the end. Only one caller at a time. */
  take(): Promise<Uint8Array | null> {
    return this.#output.take();
  }

  /** Frees everything that the stream holds. A reader may still take text that was written, unless it is slow or gone. */
  end(end: StreamEnd, cause?: unknown): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#cancelHeartbeat();
    for (const wake of this.#pauses) wake();
    this.#subscription?.close();
    this.#subscription = null;
    this.#waiting = [];
    this.#output.end(end !== 'gone' && end !== 'slow');
    this.#options.onEnd(end, cause);
  }

  async #subscribe(): Promise<void> {
    const { live, address } = this.#options;
    const round = ++this.#round;
    const isCurrent = () => round === this.#round && this.#end === null;
    let hasEnded = false;
    const subscription = await live.subscribe(address, this.#incarnation, {
      onMessage: (text) => {
        if (isCurrent()) this.#hear(text);
      },
      onEnd: () => {
        hasEnded = true;
        if (isCurrent() && this.#subscription !== null) void this.#resubscribe();
      },
    });
    if (!isCurrent()) return subscription.close();
    if (hasEnded)
      throw new AppError('store_unavailable', 'The server cannot subscribe to the changes of this space.', {
        retryAfterSeconds: 1,
      });
    this.#subscription = subscription;
  }

  async #resubscribe(): Promise<void> {
    this.#round++;
    this.#subscription?.close();
    this.#subscription = null;
    if (this.#isSubscribing) return;
    this.#isSubscribing = true;
    for (let ms = RETRY_FIRST_MS; this.#subscription === null; ms = Math.min(2 * ms, RETRY_MS_MAX)) {
      await this.#pause(ms);
      if (this.#end !== null) return;
      try {
        await this.#subscribe();
      } catch (error) {
        if (!isAway(error)) return this.end('failed', error);
      }
    }
    this.#isSubscribing = false;
    // The log has the messages that were published meanwhile.
    void this.#catchUp();
  }

  #hear(text: string): void {
    this.#hasHeard = true;
    const message = readLiveMessage(text);
    if (message === null) return;
    if (message.kind === 'retired') this.end('retired');
    else if (message.kind === 'presence') this.#write(writeEvent('presence', message.text));
    else if (message.kind === 'committed') this.#noteCommitted(message.seq);
    else if (this.#isReading) this.#wait(message.change);
    else if (!this.#follow(message.change)) void this.#catchUp();
  }

  /** @returns false where something is missing before it: nothing was done. */
  #follow({ seq, prev, replacesWorld, text }: Change): boolean {
    if (seq <= this.#cursor) return true;
    if (this.#isExact ? prev !== this.#cursor : prev > this.#cursor) return false;
    if (replacesWorld) this.#reset(seq);
    else
      this.#write(
        writeEvent('change', this.#options.moves === 'operations' ? expandChange(text) : text, seq),
      );
    this.#moveTo(seq);
    return true;
  }

  /** Tells the reader to load the world at `seq` or later: some earlier change cannot be sent. */
  #reset(seq: Seq): void {
    this.#write(writeEvent('reset', JSON.stringify({ seq }), seq));
    this.#moveTo(seq);
  }

  #moveTo(seq: Seq): void {
    this.#cursor = seq;
    this.#isExact = true;
    this.#isNamed = false;
    this.#sendCommitted();
  }

  #noteCommitted(seq: Seq): void {
    if (this.#committed === null) return;
    this.#committed = Math.max(this.#committed, seq);
    this.#sendCommitted();
  }

  /** Sends the committed seq if it has risen. Waits until the cursor has reached it, so that its change comes first. */
  #sendCommitted(): void {
    const seq = this.#committed;
    if (seq === null || seq <= this.#committedSent || seq > this.#cursor) return;
    if (!this.#hasRead || this.#end !== null) return;
    this.#committedSent = seq;
    this.#write(writeEvent('committed', JSON.stringify({ seq })));
  }

  #wait(change: Change): void {
    this.#waiting.push(change);
    this.#waitingLength += change.text.length;
    if (this.#waitingLength <= LIMITS.streamBufferBytesMax) return;
    // It is in the log too.
    this.#clearWaiting();
    this.#readsAgain = true;
  }

  #clearWaiting(): Change[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingLength = 0;
    return waiting;
  }

  /** Reads the log from the cursor, as fast as the reader takes it, until the next published entry follows without a gap. */
  async #catchUp(): Promise<void> {
    if (this.#isReading) {
      this.#readsAgain = true;
      return;
    }
    this.#isReading = true;
    const { changes, address } = this.#options;
    let delayMs = RETRY_FIRST_MS;
    try {
      do {
        await this.#output.drained();
        if (this.#end !== null) return;
        this.#readsAgain = false;
        let outcome: ChangesOutcome;
        try {
          outcome = await changes.readChanges(address, {
            after: this.#cursor,
            bytesMax: LIMITS.streamReadBytesMax,
            entriesMax: READ_ENTRIES_MAX,
            ...(!this.#isNamed && { seen: { incarnation: this.#incarnation, seq: this.#cursor } }),
          });
        } catch (error) {
          if (!isAway(error)) throw error;
          await this.#pause(delayMs);
          delayMs = Math.min(2 * delayMs, RETRY_MS_MAX);
          this.#readsAgain = true;
          continue;
        }
        if (this.#end !== null) return;
        const isThere = this.#take(outcome);
        this.#hasRead = true;
        this.#sendCommitted();
        if (!isThere || !this.#clearWaiting().every((change) => this.#follow(change)))
          this.#readsAgain = true;
      } while (this.#readsAgain && this.#end === null);
    } catch (error) {
      this.end('failed', error);
    } finally {
      this.#isReading = false;
    }
  }

  /** @returns false where there may be more to read. */
  #take(outcome: ChangesOutcome): boolean {
    // Redis does not know the space, or not this incarnation of it: nothing can be said before it does.
    if (outcome.status === 'cold') {
      if (!this.#isNamed) this.#options.onForgotten();
      return true;
    }
    if (outcome.status === 'deleted') {
      if (outcome.incarnation === this.#incarnation) this.end('retired');
      return true;
    }
    const { incarnation, last, committed, entries } = outcome;
    if (incarnation !== this.#incarnation) {
      // The space was deleted and made again: it is published elsewhere.
      this.#incarnation = incarnation;
      if (this.#committed !== null) this.#committed = committed;
      this.#reset(last);
      void this.#resubscribe();
      return true;
    }
    this.#noteCommitted(committed);
    if (this.#isNamed) this.#compareNamed(outcome);
    const isWhole = entries.every((entry) => this.#follow(toChange(entry)));
    if (isWhole && entries.length > 0) return this.#cursor === last;
    // Trimmed away, lost, or a cursor that is none of this log.
    if (this.#cursor !== last) this.#reset(last);
    return true;
  }

  /** The next entry names the one before it: where that is older than what the reader has seen, the log does not have this. */
  #compareNamed({ incarnation, last, entries: [entry] }: Extract<ChangesOutcome, { status: 'read' }>): void {
    const seen = this.#cursor;
    if (entry === undefined && seen > last) this.#options.onAhead({ incarnation, seen, last, next: null });
    if (entry !== undefined && this.#isExact && entry.prev < seen)
      this.#options.onAhead({ incarnation, seen, last: entry.prev, next: entry.seq });
  }

  #scheduleHeartbeat(): void {
    const { clock, heartbeatMs } = this.#options;
    this.#cancelHeartbeat = clock.after(heartbeatMs, () => this.#beat());
  }

  #beat(): void {
    if (this.#output.isStalled()) {
      this.end('slow');
      return;
    }
    this.#scheduleHeartbeat();
    this.#write(HEARTBEAT_EVENT);
    void this.#ask();
    void this.#compare();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    if (!(await this.#options.onHeartbeat())) this.end('refused');
    this.#isAsking = false;
  }

  /** Finds what was published and not heard. */
  async #compare(): Promise<void> {
    const hadHeard = this.#hasHeard;
    const before = this.#cursor;
    this.#hasHeard = false;
    await this.#catchUp();
    // The log has gone on, and nothing was heard of it: the subscription is dead, whatever it says.
    if (!hadHeard && !this.#hasHeard && this.#cursor !== before && this.#end === null)
      void this.#resubscribe();
  }

  #write(text: string): void {
    if (!this.#output.write(text)) this.end('slow');
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#pauses.delete(wake);
        cancel();
        resolve();
      };
      const cancel = this.#options.clock.after(ms, wake);
      this.#pauses.add(wake);
    });
  }
}
