import { packMoves } from '../world/move.ts';
import type { Operation, OperationResult } from '../world/operation.ts';
import type { Seq } from '../world/types.ts';
import { Backoff } from './backoff.ts';
import { createKey } from './create-key.ts';
import { closed, isTemporary, toError, WorldkeepError } from './errors.ts';
import { findPosted } from './find-posted.ts';
import { mergeOperations, targetOf } from './merge-operations.ts';
import type { LocalOperation } from './mirror.ts';
import { OutboxSaver } from './outbox-saver.ts';
import type { OutboxRecord, OutboxRequest, OutboxStore } from './outbox-store.ts';
import {
  type Accepted,
  handlesOf,
  type Item,
  type Parcel,
  takeBatch,
  toParcel,
  waitsForOutcome,
} from './parcel.ts';
import type { Requests } from './requests.ts';
import { type Durability, Sent } from './sent.ts';
import { within } from './within.ts';

/** Operations of one request. The server accepts as many. */
const REQUEST_OPERATIONS_MAX = 1_000;
/** Milliseconds for which a request may be sent again under its key: the server remembers keys for an hour. */
const KEY_MS_MAX = 50 * 60_000;
/** Seconds between two requests with a refused token. */
const TOKEN_SECONDS = 600;
/** Handles of one item. Later ones share the last handle, because a client may be offline for hours. At most 32. */
const HANDLES_MAX = 20;
/** Milliseconds between two looks for operations that other tabs left. */
const ADOPT_MS = 10_000;

interface Answer {
  seq: Seq;
  durability: Durability;
  results?: OperationResult[];
}

export interface OutboxHooks {
  /** Operations that the world must show. */
  show: (item: LocalOperation) => void;
  accept: (item: LocalOperation, seq: Seq) => void;
  hide: (item: LocalOperation) => void;
  refuse: (error: WorldkeepError, operation: Operation) => void;
  /** A failure that a retry may mend. */
  fail: (error: WorldkeepError) => void;
  /** The newest seq that the client knows. */
  readSeq: () => Seq;
}

export interface OutboxOptions {
  /** Milliseconds for which an operation waits for others, and operations that end the wait. */
  batchMs: number;
  batchMax: number;
  /** The level at which the outbox forgets an operation. */
  durability: 'queued' | 'committed';
}

/**
 * Keeps operations until the server has them, and sends them in order: one request at a time.
 *
 * A parcel begins as one item without a request. Later operations on the same target are merged into it. `#pack` joins the oldest
 * parcels and gives them a request, which is stored and then sent:
 * - accepted: the parcel is removed. With the level `committed`, it is kept until Postgres has it.
 * - no answer: the same request is sent again.
 * - refused: the parcel is taken apart. A parcel of one item is removed, and its callers get the error.
 */
export class Outbox {
  readonly #requests: Requests;
  readonly #hooks: OutboxHooks;
  readonly #options: OutboxOptions;
  readonly #saver: OutboxSaver;
  /** Accepted parcels stay in the store until they are committed. */
  readonly #isKeeping: boolean;
  #parcels: Parcel[] = [];
  /** Accepted, and not committed, in order of their seqs. */
  #uncommitted: Accepted[] = [];
  /** The newest parcel of each target that later operations may be merged into. */
  readonly #open = new Map<string, Parcel>();
  #acceptedSeq: Seq = 0;
  /** Loads of the world. */
  #loads = 0;
  /** They are sent before everything else, after the request that is on its way. */
  readonly #again: Parcel[] = [];
  /** While parcels wait, the last accepted operation of each target. */
  readonly #order = new Map<string, Item>();
  #isSending = false;
  #committedSeq: Seq = 0;
  #nextN = 1;
  /** The store has told what earlier clients left. */
  #isOpen = false;
  #opening: Promise<void> = Promise.resolve();
  #requestMax = REQUEST_OPERATIONS_MAX;
  #oldestAtMs = Number.NEGATIVE_INFINITY;
  #isTimeless = false;
  #wake: () => void = () => undefined;
  #adoptTimer: ReturnType<typeof setInterval> | undefined;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff();
  readonly #emptied = new Set<() => void>();

  constructor(
    requests: Requests,
    openStore: () => Promise<OutboxStore>,
    options: OutboxOptions,
    hooks: OutboxHooks,
  ) {
    this.#requests = requests;
    this.#saver = new OutboxSaver(openStore, hooks.fail);
    this.#options = options;
    this.#isKeeping = options.durability === 'committed';
    this.#hooks = hooks;
  }

  /** The seq up to which Postgres has everything, as far as this client knows. */
  get committedSeq(): Seq {
    return this.#committedSeq;
  }

  /** Operations that the server is not known to have stored. */
  get size(): number {
    const items = [...this.#again, ...this.#parcels].flatMap((parcel) => parcel.items);
    return items.filter(({ level }) => level !== 'spilled').length;
  }

  /** Loads what earlier clients left, and begins to send. */
  start(): void {
    this.#opening = this.#openStore().then(() => void this.#run());
  }

  async #openStore(): Promise<void> {
    const records = await this.#saver.open();
    // Changes that were made meanwhile come after older ones, also in what the world shows.
    const early = this.#parcels.splice(0);
    this.#isOpen = true;
    this.#restore(records);
    for (const parcel of early) {
      const [item] = parcel.items as [Item];
      parcel.n = item.n = this.#nextN++;
      this.#hooks.hide(item);
      this.#hooks.show(item);
      this.#push(parcel);
    }
    this.#adoptTimer = setInterval(() => void this.#adopt(), ADOPT_MS);
  }

  add(operation: Operation): Sent {
    const isClosed = this.#closing.signal.aborted;
    const merged = isClosed ? null : this.#mergeIntoLast(operation);
    if (merged !== null) return merged;
    const handle = new Sent(operation);
    if (isClosed) handle.abandon(closed());
    else {
      const n = this.#isOpen ? this.#nextN++ : 0;
      const item: Item = { n, op: operation, seq: null, handles: [handle] };
      this.#push({ n, items: [item] });
      this.#hooks.show(item);
    }
    return handle;
  }

  /** Postgres has everything up to the seq. */
  commit(seq: Seq): void {
    if (seq <= this.#committedSeq) return;
    this.#committedSeq = seq;
    const done = this.#uncommitted.filter((entry) => entry.seq <= seq);
    this.#uncommitted = this.#uncommitted.filter((entry) => entry.seq > seq);
    for (const { parcel } of done) {
      if (this.#isKeeping) this.#saver.remove(parcel);
      for (const handle of handlesOf(parcel)) handle.raise('committed');
    }
  }

  /** Whether the log has lost a change: its entries do not have it between two that follow each other. */
  misses(after: Seq, before: Seq): boolean {
    return this.#uncommitted.some(({ seq }) => seq > after && seq < before);
  }

  /**
   * A world was loaded. The requests of changes that it does not show are sent again: the key tells the server whether it has them. Else
   * the log has lost them, or their answer was faster than the world, or others cover them.
   * @param durableSeq Postgres has the loaded world up to here
   * @param seqOf the seq of the newest change of an operation's target in the loaded world; 0: none
   */
  recover(durableSeq: Seq, seqOf: (op: Operation, seq: Seq) => Seq): void {
    this.#loads++;
    const isShown = ({ seq, parcel }: Accepted) => parcel.items.every(({ op }) => seqOf(op, seq) === seq);
    const accepted = this.#uncommitted;
    this.#uncommitted = accepted.filter(isShown);
    for (const entry of accepted) {
      if (isShown(entry)) continue;
      const { seq, parcel } = entry;
      Object.assign(parcel, { isUncertain: true, askedSeq: seq, later: this.#uncommitted });
      for (const item of parcel.items) {
        item.seq = null;
        item.level = 'local';
        if (seqOf(item.op, seq) < seq) this.#hooks.show(item);
        else this.#hooks.hide(item);
      }
      this.#again.push(parcel);
    }
    this.commit(durableSeq);
    if (!this.#isSending) this.#sendAgain();
  }

  #sendAgain(): void {
    this.#parcels.unshift(...this.#again.splice(0));
    this.#wake();
  }

  /** A lost change was stored behind these: the same fields are set once more, behind it. */
  #repeat(items: Item[]): void {
    for (const item of items.filter(({ op }) => op.op !== 'chat.post' && !waitsForOutcome(op))) {
      const parcel = { n: item.n, items: [item] };
      item.seq = null;
      this.#hooks.show(item);
      this.#saver.set(parcel);
      this.#again.push(parcel);
    }
  }

  /**
   * Retries now: the network or the token has changed.
   * @param isForced also if the server has asked for a pause
   */
  retry(isForced = true): void {
    this.#backoff.end(isForced);
    this.#wake();
  }

  /** Resolves when the server has every operation, or after so many milliseconds. */
  async drain(timeoutMs: number): Promise<void> {
    this.#oldestAtMs = Number.NEGATIVE_INFINITY;
    this.#wake();
    if (this.#parcels.length === 0) return;
    await within(timeoutMs, new Promise<void>((resolve) => this.#emptied.add(resolve)));
  }

  /** Ends. Unsent operations stay in the store. */
  async close(): Promise<void> {
    this.#closing.abort();
    const open = [...this.#again, ...this.#parcels, ...this.#uncommitted.map(({ parcel }) => parcel)];
    for (const parcel of open) for (const handle of handlesOf(parcel)) handle.abandon(closed());
    this.retry();
    await this.#opening;
    clearInterval(this.#adoptTimer);
    await this.#saver.close();
  }

  /** @returns the operation's handle; null if it cannot be merged */
  #mergeIntoLast(operation: Operation): Sent | null {
    const parcel = this.#open.get(targetOf(operation));
    const [item] = parcel?.items ?? [];
    const merged = item === undefined ? null : mergeOperations(item.op, operation);
    if (parcel === undefined || item === undefined || merged === null) return null;
    item.op = merged;
    let handle = item.handles.at(-1) as Sent;
    const shared = item.handles.length < HANDLES_MAX ? null : mergeOperations(handle.operation, operation);
    if (shared !== null) handle.operation = shared;
    else {
      handle = new Sent(operation);
      item.handles.push(handle);
    }
    this.#hooks.show(item);
    this.#save(parcel);
    return handle;
  }

  #push(parcel: Parcel): void {
    if (this.#parcels.length === 0) this.#oldestAtMs = performance.now();
    this.#parcels.push(parcel);
    this.#open.set(targetOf((parcel.items[0] as Item).op), parcel);
    this.#save(parcel);
    if (this.#parcels.length === 1 || this.#parcels.length >= this.#options.batchMax) this.#wake();
  }

  #save(parcel: Parcel): void {
    // Places are given when the store has told which are taken.
    if (this.#isOpen) this.#saver.set(parcel);
  }

  #restore(records: OutboxRecord[], isAdopted = false): void {
    for (const [i, record] of records.entries()) {
      const parcel = toParcel(record, records[i + 1]?.n ?? Number.POSITIVE_INFINITY);
      parcel.isAdopted = isAdopted;
      const { n, items } = parcel;
      this.#parcels.push(parcel);
      this.#nextN = Math.max(this.#nextN, Math.ceil(n) + items.length);
      for (const item of items) {
        this.#open.delete(targetOf(item.op));
        this.#hooks.show(item);
      }
    }
    this.#wake();
  }

  async #adopt(): Promise<void> {
    // Places in between stay free for operations that are added meanwhile.
    const records = await this.#saver.adopt(this.#nextN + 1_000_000);
    if (records.length > 0) this.#restore(records, true);
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const waitMs = this.#readWaitMs();
      if (waitMs > 0) {
        await this.#sleep(waitMs);
        continue;
      }
      this.#isSending = true;
      try {
        const parcel = await this.#pack();
        if (this.#closing.signal.aborted) return;
        await this.#send(parcel);
      } catch (error) {
        this.#hooks.fail(toError(error));
        await this.#backoff.wait(null, this.#closing.signal);
      }
      this.#isSending = false;
      this.#sendAgain();
      if (this.#parcels.length > 0) continue;
      this.#order.clear();
      for (const resolve of this.#emptied) resolve();
      this.#emptied.clear();
    }
  }

  #readWaitMs(): number {
    const [first] = this.#parcels;
    if (first === undefined) return Number.POSITIVE_INFINITY;
    if (first.request !== undefined || this.#parcels.length >= this.#options.batchMax) return 0;
    return this.#oldestAtMs + this.#options.batchMs - performance.now();
  }

  #sleep(ms: number): Promise<void> {
    return within(
      ms,
      new Promise<void>((resolve) => {
        this.#wake = resolve;
      }),
    );
  }

  /** Makes one parcel of the oldest items, and stores its request before it is sent. */
  async #pack(): Promise<Parcel> {
    const [first] = this.#parcels as [Parcel];
    if (first.request === undefined) {
      const parcels = takeBatch(this.#parcels, this.#requestMax);
      const items = parcels.flatMap((parcel) => parcel.items);
      const ops = packMoves(items.map(({ op }) => op)).map((op) =>
        // The server names the author itself, if this client does not know the person yet.
        op.op === 'chat.post' ? { ...op, id: undefined, userId: op.userId ?? undefined } : op,
      );
      for (const { op } of items) this.#open.delete(targetOf(op));
      const afterSeq = Math.max(this.#acceptedSeq, this.#hooks.readSeq());
      first.items = items;
      first.request = {
        // The server reads the time of a UUIDv7 only.
        key: `${this.#isTimeless ? 'k' : ''}${createKey(afterSeq)}`,
        body: JSON.stringify({ ops }),
        sentMs: Date.now(),
        afterSeq,
      };
      this.#parcels.splice(0, parcels.length, first);
      for (const parcel of parcels.slice(1)) this.#saver.remove(parcel);
      this.#saver.set(first);
      this.#oldestAtMs = performance.now();
    }
    await this.#saver.save();
    return first;
  }

  async #send(parcel: Parcel): Promise<void> {
    const { key, body, sentMs } = parcel.request as OutboxRequest;
    const ageMs = Date.now() - sentMs;
    // A clock that was set back does not tell the age.
    if (parcel.isUncertain && !(ageMs >= 0 && ageMs < KEY_MS_MAX)) return this.#replaceKey(parcel);
    const waits = parcel.items.some(({ op }) => waitsForOutcome(op));
    const loads = this.#loads;
    try {
      const answer = await this.#requests.sendJson<Answer>('/updates', {
        method: 'POST',
        body,
        headers: {
          'Content-Type': 'application/json',
          'Idempotency-Key': key,
          ...(waits && { Prefer: 'wait' }),
        },
        signal: this.#closing.signal,
      });
      const { durability: level } = answer;
      // Such a write has no place in the order yet: later operations wait until the same request gets one.
      if (level === 'spilled' || level === 'memory') {
        for (const item of parcel.items) item.level = level;
        for (const handle of handlesOf(parcel)) handle.raise(level);
        parcel.isUncertain = true;
        return await this.#backoff.wait(1, this.#closing.signal);
      }
      if (!Number.isFinite(answer.seq)) throw new WorldkeepError('not_worldkeep', 'The answer has no seq.');
      this.#backoff.reset();
      // A world was loaded meanwhile. If the log has lost the change, the same request writes it.
      if (level === 'queued' && loads !== this.#loads) parcel.isUncertain = true;
      else this.#accept(parcel, answer);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      await this.#handleFailure(parcel, toError(error));
    }
  }

  #accept(parcel: Parcel, { seq, durability, results }: Answer): void {
    this.#drop(parcel);
    this.#acceptedSeq = Math.max(this.#acceptedSeq, seq);
    this.#requestMax = Math.min(REQUEST_OPERATIONS_MAX, this.#requestMax * 2);
    const isCommitted = durability === 'committed' || seq <= this.#committedSeq;
    for (const [i, item] of parcel.items.entries()) {
      for (const handle of item.handles) {
        handle.seq = seq;
        handle.status = results?.[i]?.status ?? handle.status;
        handle.raise(isCommitted ? 'committed' : 'queued');
      }
      this.#hooks.accept(item, seq);
    }
    // Also a committed one: a change before it may be lost.
    if (!isCommitted || this.#uncommitted.length > 0) this.#uncommitted.push({ seq, parcel });
    if (isCommitted || !this.#isKeeping) this.#saver.remove(parcel);
    this.#keepOrder(seq, parcel);
  }

  /** Sends those operations again that now have a place before older ones of this client on the same target. */
  #keepOrder(seq: Seq, { n, items, isAdopted, askedSeq = seq, later = [] }: Parcel): void {
    // Nobody knows the order of another tab's changes.
    if (isAdopted) return;
    const targets = new Set(items.map(({ op }) => targetOf(op)));
    const early = items.filter((item) => {
      const target = targetOf(item.op);
      const last = this.#order.get(target);
      if (last !== undefined && last.n < item.n && (last.seq ?? 0) > seq) return true;
      this.#order.set(target, item);
      return false;
    });
    const isCovered = (item: Item) => item.n > n && targets.has(targetOf(item.op));
    // The log had lost it.
    if (askedSeq !== seq) early.push(...later.flatMap(({ parcel }) => parcel.items).filter(isCovered));
    this.#repeat(early);
  }

  async #handleFailure(parcel: Parcel, error: WorldkeepError): Promise<void> {
    const { code, status } = error;
    const { signal } = this.#closing;
    if (code === 'key_expired' || code === 'idempotency_key_reused') {
      // Nothing was applied if this was the first attempt: only the clock of this device is wrong.
      if (code === 'key_expired') this.#isTimeless = true;
      if (code === 'key_expired' && parcel.isUncertain) await this.#replaceKey(parcel);
      else this.#unpack(parcel);
      return this.#backoff.wait(null, signal);
    }
    // A proxy may refuse a body for its size.
    if (isTemporary(error) && !(status === 413 && parcel.items.length > 1)) {
      parcel.isUncertain = true;
      this.#hooks.fail(error);
      // Without a function that gets tokens, only `setToken` can end this pause.
      const seconds = status === 401 && !this.#requests.canRenew ? TOKEN_SECONDS : error.retryAfterSeconds;
      return this.#backoff.wait(seconds, signal);
    }
    // The server applied nothing. Halves find the operation that it refuses.
    if (parcel.items.length > 1) {
      this.#requestMax = Math.ceil(parcel.items.length / 2);
      this.#unpack(parcel);
      return;
    }
    const [item] = parcel.items as [Item];
    // Only one of the operations that were merged may be wrong.
    if (item.handles.length > 1) {
      this.#hooks.hide(item);
      parcel.items = item.handles.map(
        (handle, i): Item => ({ n: item.n + i / 32, op: handle.operation, seq: null, handles: [handle] }),
      );
      for (const single of parcel.items) this.#hooks.show(single);
      this.#unpack(parcel);
      return;
    }
    this.#drop(parcel);
    this.#saver.remove(parcel);
    this.#hooks.hide(item);
    for (const handle of item.handles) handle.fail(error);
    this.#hooks.refuse(error, item.op);
  }

  #drop(parcel: Parcel): void {
    this.#parcels = this.#parcels.filter((other) => other !== parcel);
  }

  /** The server no longer knows the key. Object changes may be applied twice: they are absolute. Messages must not. */
  async #replaceKey(parcel: Parcel): Promise<void> {
    const [item] = parcel.items as [Item];
    if (parcel.askedSeq !== undefined) {
      this.#drop(parcel);
      this.#saver.remove(parcel);
      const error = new WorldkeepError('uncertain', 'The log may have lost the change.');
      for (const handle of handlesOf(parcel)) handle.abandon(error);
      return;
    }
    if (item.op.op === 'chat.post') {
      try {
        const posted = await findPosted(this.#requests, item.op, {
          afterSeq: parcel.request?.afterSeq ?? 0,
          signal: this.#closing.signal,
        });
        if (posted !== null) return this.#accept(parcel, { seq: posted, durability: 'queued' });
      } catch (error) {
        this.#hooks.fail(toError(error));
        return this.#backoff.wait(null, this.#closing.signal);
      }
    }
    this.#unpack(parcel);
  }

  /** Takes a parcel apart: its operations get a new request. */
  #unpack(parcel: Parcel): void {
    const singles = this.#split(parcel);
    this.#parcels = this.#parcels.flatMap((other) => (other === parcel ? singles : [other]));
    this.#oldestAtMs = Number.NEGATIVE_INFINITY;
  }

  #split(parcel: Parcel): Parcel[] {
    const singles = parcel.items.map((item): Parcel => ({ n: item.n, items: [item] }));
    this.#saver.remove(parcel);
    for (const single of singles) this.#saver.set(single);
    return singles;
  }
}
