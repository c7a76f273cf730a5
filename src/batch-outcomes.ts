import type { NoEffects } from './log/log-stores.ts';
import type { NoEffect } from './world/batch.ts';
import { encodeEntries } from './world/check-operations.ts';
import { coalesceOperations } from './world/coalesce.ts';
import { LIMITS } from './world/limits.ts';
import { packMoves } from './world/move.ts';
import type { Operation, OperationResult } from './world/operation.ts';
import { findKind, isConditional, isOfObject } from './world/operation-effects.ts';
import type { Seq } from './world/types.ts';

/** The answer to an append. */
export type AppendAnswer = { messageIds?: readonly string[] } & (
  | { status: 'queued'; firstSeq?: Seq; seq: Seq }
  | { status: 'committed'; seq: Seq; results: readonly OperationResult[] }
  | { status: 'spilled' | 'memory' }
);

/** Which operations of a space came to nothing, behind a seq. */
export type ReadNoEffects = (spaceId: string, after: Seq) => Promise<NoEffects>;

/** Where and why an operation came to nothing. */
export interface NoEffectAt {
  spaceId: string;
  /** The seq that its append was answered with. */
  seq: Seq;
  status: NoEffect['status'];
}

/** An append of which it is not known yet what came of it. */
interface Appended<T> {
  spaceId: string;
  /** The seq of its first entry and of its last. */
  firstSeq: Seq;
  seq: Seq;
  /** The operations as they were given, before coalescing. */
  items: readonly T[];
  /** Milliseconds since 1970. */
  atMs: number;
}

export interface OutcomeOptions<T> {
  /** Null: only what has committed with its answer is known. */
  readNoEffects: ReadNoEffects | null;
  /** Called once for each operation without effect. Errors that it throws are ignored. */
  onNoEffect: ((item: T, at: NoEffectAt) => void) | null;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Milliseconds between two looks, while anything is not known yet. */
const LOOK_MS = 1_000;
/** Operations held whose outcome is not known; beyond, the oldest are given up. */
const ITEMS_MAX = 100_000;

/**
 * Learns which operations of this process had no effect, also if another process drained them. Outcomes that Redis does not tell
 * within `LIMITS.noEffectsKeptSeconds` stay unknown.
 */
export class BatchOutcomes<T extends { operation: Operation }> {
  readonly #options: OutcomeOptions<T>;
  /** Oldest first. */
  #open: Appended<T>[] = [];
  #held = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hasEnded = false;
  #count = 0;

  constructor(options: OutcomeOptions<T>) {
    this.#options = options;
  }

  /** How many operations are known to have had no effect. */
  get count(): number {
    return this.#count;
  }

  /** Follows what was appended, until it is known what came of it. */
  follow(items: readonly T[], spaceId: string, answer: AppendAnswer): void {
    // A spilled append has no seq by which its outcome could be found.
    if (!('seq' in answer)) return;
    const { seq } = answer;
    if (answer.status === 'committed') {
      for (const [i, item] of items.entries()) {
        const status = answer.results[i]?.status;
        if (status === 'unknown_object' || status === 'conflict') this.#tell(item, { spaceId, seq, status });
      }
    } else if (this.#options.readNoEffects !== null && answer.firstSeq !== undefined) {
      const { firstSeq } = answer;
      this.#open.push({ spaceId, firstSeq, seq, items, atMs: this.#options.now() });
      this.#held += items.length;
      while (this.#held > ITEMS_MAX) this.#held -= this.#open.shift()?.items.length ?? 0;
      this.#lookLater();
    }
  }

  #tell(item: T, at: NoEffectAt): void {
    this.#count++;
    try {
      this.#options.onNoEffect?.(item, at);
    } catch {
      // The outcomes that were read stay counted.
    }
  }

  /** From now on it looks only when `check` is called. */
  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
  }

  /** Looks now. A space that Redis does not answer for is looked at again later. */
  async check(): Promise<void> {
    const bySpace = Map.groupBy(this.#open, ({ spaceId }) => spaceId);
    const read = this.#options.readNoEffects;
    if (read === null) return;
    await Promise.allSettled(Array.from(bySpace, ([spaceId, open]) => this.#checkSpace(read, spaceId, open)));
    const oldestMs = this.#options.now() - LIMITS.noEffectsKeptSeconds * 1_000;
    this.#keep(({ atMs }) => atMs > oldestMs);
    this.#lookLater();
  }

  async #checkSpace(read: ReadNoEffects, spaceId: string, open: readonly Appended<T>[]): Promise<void> {
    const after = Math.min(...open.map(({ firstSeq }) => firstSeq)) - 1;
    const { committed, operations } = await read(spaceId, after);
    const known = new Set(open.filter(({ seq }) => seq <= (committed ?? 0)));
    // Another look may have been here meanwhile.
    const told = this.#open.filter((appended) => known.has(appended));
    this.#keep((appended) => !known.has(appended));
    for (const appended of told)
      for (const { item, status } of findNoEffectItems(appended, operations))
        this.#tell(item, { spaceId, seq: appended.seq, status });
  }

  #keep(isOpen: (appended: Appended<T>) => boolean): void {
    this.#open = this.#open.filter(isOpen);
    this.#held = this.#open.reduce((sum, { items }) => sum + items.length, 0);
  }

  #lookLater(): void {
    if (this.#open.length === 0 || this.#timer !== undefined || this.#hasEnded) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.check();
    }, LOOK_MS);
    // It keeps no process alive. In a Worker a timer is a number.
    if (typeof this.#timer === 'object') this.#timer.unref();
  }
}

/**
 * The log holds operations of one request coalesced, so several items may be one operation there. An operation with a
 * condition stays as it is. Of the others on an object it is enough to know whether the object was there before the request.
 */
function findNoEffectItems<T extends { operation: Operation }>(
  { firstSeq, seq, items }: Appended<T>,
  reports: readonly NoEffect[],
): { item: T; status: NoEffect['status'] }[] {
  const own = reports.filter((report) => report.seq >= firstSeq && report.seq <= seq);
  if (own.length === 0 && !items.some(({ operation }) => operation.op === 'delete')) return [];
  const written = coalesceOperations(items.map(({ operation }) => operation));
  const starts: number[] = [];
  let start = 0;
  for (const { count } of encodeEntries(packMoves(written))) {
    starts.push(start);
    start += count;
  }
  const statuses = new Map<Operation, NoEffect['status']>();
  const absent = new Set<string>();
  for (const report of own) {
    const operation = written[(starts[report.seq - firstSeq] ?? 0) + report.index];
    if (operation === undefined) continue;
    if (isConditionalOperation(operation)) statuses.set(operation, report.status);
    else absent.add(nameOf(operation));
  }
  return items.flatMap((item) => {
    const { operation } = item;
    const name = nameOf(operation);
    const status = isConditionalOperation(operation)
      ? statuses.get(operation)
      : operation.op !== 'put' && absent.has(name)
        ? 'unknown_object'
        : undefined;
    if (status !== undefined) return [{ item, status }];
    if (operation.op === 'put') absent.delete(name);
    else if (operation.op === 'delete') absent.add(name);
    return [];
  });
}

function isConditionalOperation(operation: Operation): boolean {
  return isOfObject(operation) && isConditional(operation);
}

function nameOf(operation: Operation): string {
  return `${findKind(operation)} ${operation.id}`;
}
