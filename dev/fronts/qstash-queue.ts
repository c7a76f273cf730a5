import { randomBytes } from 'node:crypto';
import { type Faults, waitLatency } from './faults.ts';
import type { Clock } from './qstash-clock.ts';
import { findNextRun } from './qstash-cron.ts';
import { type DeliveryResult, deliver, findRetryDelay, isDelivered, isFinal } from './qstash-delivery.ts';
import { FlowControl } from './qstash-flow.ts';
import { parseSpec } from './qstash-spec.ts';
import type { DeadLetter, Message, MessageSpec, QStashStore, Schedule } from './qstash-store.ts';

export interface PublishResult {
  messageId: string;
  deduplicated?: true;
}

const DEDUPLICATION_MS = 10 * 60_000;
/** After the state could not be written. */
const STORE_RETRY_MS = 1_000;

/**
 * What becomes of a message:
 *
 *     publish ─► due at dueMs ─► attempt ─ 2xx ─► gone
 *                    ▲              ├─ 489 and "non-retryable", or no retries left ─► dead letter, failure callback
 *                    └── retried+1 ─┘
 *
 * Every step is in the store before it counts, and a message leaves only after its attempt: one cut short by
 * a crash is made again. A schedule is a spec that is published whenever its time comes.
 */
export class QStashQueue {
  readonly #store: QStashStore;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #signingKey: string;
  readonly #flow = new FlowControl();
  readonly #timers = new Map<string, () => void>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(store: QStashStore, clock: Clock, faults: Faults, signingKey: string) {
    this.#store = store;
    this.#clock = clock;
    this.#faults = faults;
    this.#signingKey = signingKey;
  }

  /** Takes up what the store holds; what came due meanwhile is delivered, a missed schedule once. */
  start(): void {
    for (const message of Object.values(this.#store.state.messages)) this.#arm(message);
    for (const schedule of Object.values(this.#store.state.schedules)) this.#armSchedule(schedule);
  }

  /** Resolves when no delivery is under way and everything is stored. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
    await this.#store.save();
  }

  /** Cuts attempts short; their messages stay stored. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const cancel of this.#timers.values()) cancel();
    await this.idle();
  }

  /** A repeated deduplication id is swallowed for ten minutes, whatever became of the first. */
  async publish(specs: MessageSpec[]): Promise<PublishResult[]> {
    const results = specs.map((spec) => this.#enqueue(spec, null));
    await this.#store.save();
    return results;
  }

  getMessage(messageId: string): Message | undefined {
    return this.#store.state.messages[messageId];
  }

  /** Without ids, all. Returns how many there were to cancel. */
  async cancel(messageIds?: string[]): Promise<number> {
    const { messages } = this.#store.state;
    const found = (messageIds ?? Object.keys(messages)).filter((id) => messages[id] !== undefined);
    for (const id of found) {
      this.#disarm(id);
      delete messages[id];
    }
    await this.#store.save();
    return found.length;
  }

  /** Replaces the schedule of the same id. */
  async schedule(cron: string, spec: MessageSpec, scheduleId?: string): Promise<Schedule> {
    const nowMs = this.#clock.now();
    const schedule: Schedule = {
      scheduleId: scheduleId ?? makeId('scd_'),
      cron,
      spec,
      createdAtMs: nowMs,
      isPaused: false,
      lastMs: null,
      nextMs: findNextRun(cron, nowMs),
    };
    this.#store.state.schedules[schedule.scheduleId] = schedule;
    this.#armSchedule(schedule);
    await this.#store.save();
    return schedule;
  }

  listSchedules(): Schedule[] {
    return Object.values(this.#store.state.schedules);
  }

  /** False if there is none of that id. */
  async deleteSchedule(scheduleId: string): Promise<boolean> {
    if (this.#store.state.schedules[scheduleId] === undefined) return false;
    this.#disarm(scheduleId);
    delete this.#store.state.schedules[scheduleId];
    await this.#store.save();
    return true;
  }

  /** False if there is none of that id. Times that pass while it is paused are not made up for. */
  async pauseSchedule(scheduleId: string, isPaused: boolean): Promise<boolean> {
    const schedule = this.#store.state.schedules[scheduleId];
    if (schedule === undefined) return false;
    schedule.isPaused = isPaused;
    schedule.nextMs = findNextRun(schedule.cron, this.#clock.now());
    this.#armSchedule(schedule);
    await this.#store.save();
    return true;
  }

  listDeadLetters(): DeadLetter[] {
    return Object.values(this.#store.state.deadLetters);
  }

  /** Returns how many there were. */
  async deleteDeadLetters(dlqIds: string[]): Promise<number> {
    const { deadLetters } = this.#store.state;
    const found = dlqIds.filter((id) => deadLetters[id] !== undefined);
    for (const id of found) delete deadLetters[id];
    await this.#store.save();
    return found.length;
  }

  /** Publishes dead letters again, as new messages. */
  async retryDeadLetters(dlqIds: string[]): Promise<PublishResult[]> {
    const { deadLetters } = this.#store.state;
    const results: PublishResult[] = [];
    for (const id of dlqIds) {
      const letter = deadLetters[id];
      if (letter === undefined) continue;
      delete deadLetters[id];
      const { message } = letter;
      const spec = { ...message, delayMs: 0, notBeforeMs: null, deduplicationId: null };
      results.push(this.#enqueue(spec, message.scheduleId));
    }
    await this.#store.save();
    return results;
  }

  #enqueue(spec: MessageSpec, scheduleId: string | null): PublishResult {
    const nowMs = this.#clock.now();
    const { messages, deduplication } = this.#store.state;
    for (const [id, { untilMs }] of Object.entries(deduplication)) {
      if (untilMs <= nowMs) delete deduplication[id];
    }
    const known = spec.deduplicationId === null ? undefined : deduplication[spec.deduplicationId];
    if (known !== undefined) return { messageId: known.messageId, deduplicated: true };
    const message: Message = {
      ...spec,
      messageId: makeId('msg_'),
      scheduleId,
      createdAtMs: nowMs,
      dueMs: spec.notBeforeMs ?? nowMs + spec.delayMs,
      retried: 0,
    };
    messages[message.messageId] = message;
    if (spec.deduplicationId !== null)
      deduplication[spec.deduplicationId] = {
        messageId: message.messageId,
        untilMs: nowMs + DEDUPLICATION_MS,
      };
    this.#arm(message);
    return { messageId: message.messageId };
  }

  #arm(message: Message): void {
    if (this.#closing.signal.aborted) return;
    if (message.dueMs <= this.#clock.now()) this.#begin(message.messageId);
    else this.#setTimer(message.messageId, message.dueMs, () => this.#begin(message.messageId));
  }

  #begin(messageId: string): void {
    const message = this.#store.state.messages[messageId];
    if (message === undefined || this.#closing.signal.aborted) return;
    const { flow } = message;
    if (flow !== null) {
      const turn = this.#flow.enter(flow, this.#clock.now(), () => this.#begin(messageId));
      if (turn.kind === 'later') this.#setTimer(messageId, turn.atMs, () => this.#begin(messageId));
      if (turn.kind !== 'go') return;
    }
    const attempt = this.#attempt(message)
      .catch((error: Error) => {
        console.error(`queue: message ${messageId} is put off: ${error.message}`);
        message.dueMs = this.#clock.now() + STORE_RETRY_MS;
      })
      .finally(() => {
        this.#running.delete(messageId);
        if (flow !== null) this.#flow.leave(flow.key);
        if (this.#store.state.messages[messageId] !== undefined) this.#arm(message);
      });
    this.#running.set(messageId, attempt);
  }

  async #attempt(message: Message): Promise<void> {
    // Before it is stored, a message could be delivered and then, after a crash, be unknown.
    await this.#store.save();
    const result = await this.#deliver(message);
    const { messages } = this.#store.state;
    if (this.#closing.signal.aborted || messages[message.messageId] === undefined) return;
    if (isDelivered(result)) delete messages[message.messageId];
    else if (isFinal(result) || message.retried >= message.retriesMax) this.#bury(message, result);
    else {
      message.retried += 1;
      const nowMs = this.#clock.now();
      message.dueMs = nowMs + findRetryDelay(result, message.retried, nowMs);
    }
    await this.#store.save();
  }

  /** One attempt; faults meet it as `DELIVER <url>`, a dropped reply is one the queue does not get. */
  async #deliver(message: Message): Promise<DeliveryResult> {
    const plan = this.#faults.plan('DELIVER', message.url, () =>
      Buffer.from(message.bodyBase64, 'base64').toString('utf8'),
    );
    await waitLatency(plan, this.#closing.signal);
    const noAnswer = { status: 0, headers: {}, body: Buffer.from('lost to an injected fault') };
    if (plan.refuse !== null) return { ...noAnswer, status: plan.refuse.status ?? 0 };
    const timeout = new AbortController();
    const cancel = this.#clock.setTimer(this.#clock.now() + message.timeoutMs, () =>
      timeout.abort(new Error(`no answer within ${message.timeoutMs} ms`)),
    );
    const signal = AbortSignal.any([timeout.signal, this.#closing.signal]);
    const result = await deliver(message, this.#signingKey, signal).finally(cancel);
    return plan.dropReply ? noAnswer : result;
  }

  #bury(message: Message, result: DeliveryResult): void {
    const { messages, deadLetters } = this.#store.state;
    const letter: DeadLetter = {
      dlqId: makeId('dlq_'),
      message,
      responseStatus: result.status,
      responseHeaders: result.headers,
      responseBodyBase64: result.body.toString('base64'),
    };
    delete messages[message.messageId];
    deadLetters[letter.dlqId] = letter;
    if (message.failureCallback === null) return;
    const { url, headers } = message.failureCallback;
    this.#enqueue(parseSpec(url, headers, Buffer.from(JSON.stringify(describeFailure(letter)))), null);
  }

  #armSchedule(schedule: Schedule): void {
    this.#disarm(schedule.scheduleId);
    if (schedule.isPaused || this.#closing.signal.aborted) return;
    if (schedule.nextMs <= this.#clock.now()) this.#fire(schedule);
    else this.#setTimer(schedule.scheduleId, schedule.nextMs, () => this.#fire(schedule));
  }

  // Nothing is stored here: until the attempt stores it all, a restart finds the schedule overdue.
  #fire(schedule: Schedule): void {
    const nowMs = this.#clock.now();
    schedule.lastMs = nowMs;
    schedule.nextMs = findNextRun(schedule.cron, nowMs);
    this.#enqueue(schedule.spec, schedule.scheduleId);
    this.#armSchedule(schedule);
  }

  #setTimer(id: string, atMs: number, run: () => void): void {
    this.#disarm(id);
    const cancel = this.#clock.setTimer(atMs, () => {
      this.#timers.delete(id);
      run();
    });
    this.#timers.set(id, cancel);
  }

  #disarm(id: string): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
  }
}

function makeId(prefix: string): string {
  return prefix + randomBytes(18).toString('base64url');
}

/** The body of a failure callback. */
function describeFailure({ dlqId, message, ...response }: DeadLetter): Record<string, unknown> {
  return {
    status: response.responseStatus,
    header: response.responseHeaders,
    body: response.responseBodyBase64,
    retried: message.retried,
    maxRetries: message.retriesMax,
    dlqId,
    sourceMessageId: message.messageId,
    url: message.url,
    method: message.method,
    sourceHeader: toHeaderLists(message.headers),
    sourceBody: message.bodyBase64,
    notBefore: message.dueMs,
    createdAt: message.createdAtMs,
    ...(message.scheduleId === null ? {} : { scheduleId: message.scheduleId }),
  };
}

export function toHeaderLists(headers: Record<string, string>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
}
