import { randomBytes } from 'node:crypto';
import { Cron } from 'croner';
import { type Faults, waitLatency } from './faults.ts';
import { BadRequest } from './http.ts';
import type { Clock } from './qstash-clock.ts';
import { type DeliveryResult, deliver, findRetryDelay, isFinal } from './qstash-delivery.ts';
import type { DeadLetter, Message, MessageSpec, QStashStore, Schedule } from './qstash-store.ts';

const TIMEOUT_MS = 15 * 60_000;
/** After the state could not be written. */
const STORE_RETRY_MS = 1_000;

/**
 * The life of a message:
 *
 *     publish ─► due at dueMs ─► attempt ─ 2xx ─► gone
 *                    ▲              ├─ 489 and "non-retryable", or no retries left ─► dead letter
 *                    └── retried+1 ─┘
 *
 * Every step is stored before it counts, and a message is deleted only after its attempt. So an attempt that a crash interrupts is made
 * again. A schedule is a spec that is published at its times.
 */
export class QStashQueue {
  readonly #store: QStashStore;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #signingKey: string;
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

  async publish(spec: MessageSpec): Promise<{ messageId: string }> {
    const messageId = this.#enqueue(spec, null);
    await this.#store.save();
    return { messageId };
  }

  /** Replaces the schedule of the same id. */
  async schedule(cron: string, spec: MessageSpec, scheduleId = makeId('scd_')): Promise<Schedule> {
    const nowMs = this.#clock.now();
    const nextMs = findNextRun(cron, nowMs);
    const schedule: Schedule = { scheduleId, cron, spec, createdAtMs: nowMs, isPaused: false, nextMs };
    this.#store.state.schedules[scheduleId] = schedule;
    this.#armSchedule(schedule);
    await this.#store.save();
    return schedule;
  }

  listSchedules(): Schedule[] {
    return Object.values(this.#store.state.schedules);
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

  #enqueue(spec: MessageSpec, scheduleId: string | null): string {
    const nowMs = this.#clock.now();
    const messageId = makeId('msg_');
    const message: Message = { ...spec, messageId, scheduleId, dueMs: nowMs + spec.delayMs, retried: 0 };
    this.#store.state.messages[messageId] = message;
    this.#arm(message);
    return messageId;
  }

  #arm(message: Message): void {
    if (this.#closing.signal.aborted) return;
    if (message.dueMs <= this.#clock.now()) this.#begin(message);
    else this.#setTimer(message.messageId, message.dueMs, () => this.#begin(message));
  }

  #begin(message: Message): void {
    const { messageId } = message;
    if (this.#closing.signal.aborted) return;
    const attempt = this.#attempt(message)
      .catch((error: Error) => {
        console.error(`queue: message ${messageId} is put off: ${error.message}`);
        message.dueMs = this.#clock.now() + STORE_RETRY_MS;
      })
      .finally(() => {
        this.#running.delete(messageId);
        if (this.#store.state.messages[messageId] !== undefined) this.#arm(message);
      });
    this.#running.set(messageId, attempt);
  }

  async #attempt(message: Message): Promise<void> {
    // Before it is stored, a message could be delivered and then, after a crash, be unknown.
    await this.#store.save();
    const result = await this.#deliver(message);
    const { messages, deadLetters } = this.#store.state;
    if (this.#closing.signal.aborted) return;
    const { messageId, retriesMax } = message;
    const { status, headers, body } = result;
    if (status >= 200 && status < 300) delete messages[messageId];
    else if (isFinal(result) || message.retried >= retriesMax) {
      delete messages[messageId];
      const dlqId = makeId('dlq_');
      deadLetters[dlqId] = { dlqId, message, responseStatus: status, responseBody: body };
    } else {
      message.retried += 1;
      const nowMs = this.#clock.now();
      message.dueMs = nowMs + findRetryDelay(headers, message.retried, nowMs);
    }
    await this.#store.save();
  }

  /** One attempt; faults meet it as `DELIVER <url>`, a dropped reply is one the queue does not get. */
  async #deliver(message: Message): Promise<DeliveryResult> {
    const plan = this.#faults.plan('DELIVER', message.url, () => message.body);
    await waitLatency(plan, this.#closing.signal);
    const noAnswer = { status: 0, headers: new Headers(), body: 'lost to an injected fault' };
    if (plan.refuse !== null) return { ...noAnswer, status: plan.refuse.status ?? 0 };
    const timeout = new AbortController();
    const cancel = this.#clock.setTimer(this.#clock.now() + TIMEOUT_MS, () =>
      timeout.abort(new Error(`no answer within ${TIMEOUT_MS} ms`)),
    );
    const signal = AbortSignal.any([timeout.signal, this.#closing.signal]);
    const result = await deliver(message, this.#signingKey, signal).finally(cancel);
    return plan.dropReply ? noAnswer : result;
  }

  #armSchedule(schedule: Schedule): void {
    this.#disarm(schedule.scheduleId);
    if (schedule.isPaused || this.#closing.signal.aborted) return;
    if (schedule.nextMs <= this.#clock.now()) this.#fire(schedule);
    else this.#setTimer(schedule.scheduleId, schedule.nextMs, () => this.#fire(schedule));
  }

  // Nothing is stored here: until the attempt stores it all, a restart finds the schedule overdue.
  #fire(schedule: Schedule): void {
    schedule.nextMs = findNextRun(schedule.cron, this.#clock.now());
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

/** The first time after `afterMs` that a 5-field cron expression names, in UTC. Throws {@link BadRequest} for any other text. */
function findNextRun(expression: string, afterMs: number): number {
  let next: Date | null;
  try {
    next = new Cron(expression, { timezone: 'UTC', mode: '5-part' }).nextRun(new Date(afterMs));
  } catch (error) {
    throw new BadRequest(`invalid cron expression: ${expression} (${(error as Error).message})`);
  }
  if (next === null) throw new BadRequest(`cron expression never comes: ${expression}`);
  return next.getTime();
}

function makeId(prefix: string): string {
  return prefix + randomBytes(18).toString('base64url');
}
