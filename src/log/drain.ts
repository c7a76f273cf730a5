import type { BatchOutcome, DeadOperation, Incident, NoEffect } from '../world/batch.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { findDecided, findNoEffects } from '../world/no-effects.ts';
import type { OperationResult, StageOperation } from '../world/operation.ts';
import { findAsked, type Known, planBatch } from '../world/plan-batch.ts';
import { isBehind } from '../world/snapshot-lag.ts';
import type { Seq } from '../world/types.ts';
import { appendCorrections, UNCOUNTED } from './append-corrections.ts';
import { BatchSizes } from './batch-sizes.ts';
import type { DrainOptions, DrainReport, DrainRun, SnapshotRenewer } from './drain-types.ts';
import { LogReader, type ReadEntry } from './log-reader.ts';
import type { DrainStore, LogAddress, LogStore, Settled } from './log-stores.ts';
import { Rests } from './rests.ts';
import { Sweeper, type SweepReport } from './sweeper.ts';

export type * from './drain-types.ts';

const GO_ON_DELAY_SECONDS = 5;
const SWEEP_SPACES_MAX = 1_000;
/** Milliseconds after its beginning in which a drain rests; then it ends where the log does, and an append claims the next. */
const RESTS_MS_MAX = 15_000;
/** Share of a drain's time for pauses: the remainder is for entries that are left then. */
const RESTS_SHARE_MAX = 0.75;
/** Between two looks of one process for records that are over their time. */
const RECORDS_SWEEP_MS = 600_000;
/** For which results are kept in any case: somebody waits for them. */
const RESULTS_SECONDS_MIN = 60;
const CORRECTIONS_MAX = 50;
/** Milliseconds for which a staged world that takes too long to apply is tried again, while all that is behind it waits. */
const STAGE_TRIED_MS_MAX = 300_000;
/** Rounds in which rows that Postgres cannot keep are found; each names all it finds. */
const POISON_ROUNDS_MAX = 4;

/**
 * Copies the logs to Postgres exactly once. The transaction that applies a batch also moves the cursor, from the seq where the
 * drain read. So any process may start a drain at any time, two may run at the same time, and a drain may end anywhere. The next
 * one begins at the cursor.
 *
 *   read ─► plan ─► apply ─┬─ applied ──► settle ─► read …, until the log ends at the cursor
 *                          ├─ moved ────► read from where Postgres is
 *                          └─ poisoned ─► plan again, with those apart
 */
export class Drain {
  readonly #redis: LogStore;
  readonly #postgres: DrainStore;
  readonly #options: DrainOptions;
  #recordsSweptMs = Number.NEGATIVE_INFINITY;
  readonly #sizes = new BatchSizes();
  #renewer: SnapshotRenewer | null = null;
  readonly #sweeper: Sweeper;
  readonly #rests: Rests;

  constructor(redis: LogStore, postgres: DrainStore, options: DrainOptions) {
    this.#redis = redis;
    this.#postgres = postgres;
    this.#options = options;
    this.#rests = new Rests(options.pause);
    this.#sweeper = new Sweeper((address, budget) => this.drainSpace(address, budget), options.now);
  }

  /** From now on the snapshots that its drains leave far behind are renewed by this, which needs drains itself. */
  setSnapshotRenewer(renewer: SnapshotRenewer): void {
    this.#renewer = renewer;
  }

  /** The process ends: no drain pauses any more, and pausing drains continue. */
  endRests(): void {
    this.#rests.end();
  }

  /** Drains one space, also while another drain runs, and appends corrections that an earlier drain left. */
  async drainSpace(address: LogAddress, { budgetMs }: { budgetMs: number }): Promise<DrainReport> {
    const dead: DeadOperation[] = [];
    try {
      dead.push(...(await this.#postgres.listUncorrected(address, CORRECTIONS_MAX)));
    } catch (cause) {
      this.#options.onEvent({ event: 'correction_failed', address, cause });
    }
    // The caller learns of the failure and retries: no message is needed.
    return this.#run(address, { token: null, budgetMs }, dead, false);
  }

  /** Drains all spaces with pending entries, the longest waiting first, and removes expired records. */
  async sweep({ budgetMs }: { budgetMs: number }): Promise<SweepReport> {
    const dirty = await this.#redis.listDirty(SWEEP_SPACES_MAX);
    const swept = await this.#sweeper.sweep(dirty, { budgetMs });
    await this.#sweepRecords();
    if (swept.failure !== undefined && swept.report.left === swept.report.spaces) throw swept.failure;
    return swept.report;
  }

  async #sweepRecords(): Promise<void> {
    const { now, retention, onEvent } = this.#options;
    if (now() - this.#recordsSweptMs < RECORDS_SWEEP_MS) return;
    this.#recordsSweptMs = now();
    try {
      const resultsSeconds = Math.max(retention.resultsSeconds, RESULTS_SECONDS_MIN);
      await this.#postgres.sweepAllRecords({ ...retention, resultsSeconds });
    } catch (cause) {
      onEvent({ event: 'records_sweep_failed', address: null, cause });
    }
  }

  /**
   * @throws store_unavailable what went wrong, after QStash was asked to have it tried again.
   */
  async run(address: LogAddress, run: DrainRun): Promise<DrainReport> {
    return this.#run(address, run, [], true);
  }

  /**
   * @param dead operations to correct when the log is drained; uncorrected ones stay in it.
   * @param publishes whether a failure has QStash try again: nobody else will.
   */
  async #run(
    address: LogAddress,
    run: DrainRun,
    dead: DeadOperation[],
    publishes: boolean,
  ): Promise<DrainReport> {
    try {
      const report = await this.#drain(address, run, dead);
      const isLeft = dead.length > 0 && report.status !== 'unknown_space';
      if (report.status === 'continues' || isLeft) await this.#goOnLater(address);
      return report;
    } catch (cause) {
      this.#options.onEvent({ event: 'drain_failed', address, cause });
      // No retry succeeds until an operator acts. The schedule is the next to try.
      const isRefused = cause instanceof AppError && cause.needsOperator;
      if (isRefused) this.#options.onEvent({ event: 'drain_incident', address, kind: 'refused_by_postgres' });
      else if (publishes) await this.#goOnLater(address);
      throw cause;
    }
  }

  async #drain(
    address: LogAddress,
    { token, budgetMs, own, onResults }: DrainRun,
    dead: DeadOperation[],
  ): Promise<DrainReport> {
    const { now } = this.#options;
    const endMs = now() + budgetMs;
    const restsUntilMs = now() + Math.min(RESTS_MS_MAX, budgetMs * RESTS_SHARE_MAX);
    const report: DrainReport = { status: 'drained', operations: 0, entries: 0, batches: 0, seq: null };
    const reader = new LogReader(this.#redis, address, token, own);
    let settling: Promise<unknown> = Promise.resolve();
    let renewing: Promise<void> | null = null;
    const renew = ({ snapshot }: Pick<Settled, 'snapshot'>) => {
      if (snapshot === null || renewing !== null || !isBehind(snapshot)) return;
      const end = () => {
        renewing = null;
      };
      renewing = this.#renewer?.renew(address, reader.incarnation).finally(end) ?? null;
    };
    let hasReopened = false;
    try {
      for (;;) {
        const state = await reader.fill();
        if (state === 'relieved') return { ...report, status: 'relieved' };
        if (state === 'cold') {
          if (hasReopened || !(await this.#reopen(address))) return report;
          hasReopened = true;
          // The claim went with the other data of the space.
          reader.token = null;
          continue;
        }
        if (state === 'deleted') return { ...report, status: 'unknown_space' };
        const startMs = now();
        const step = await this.#apply(address, reader);
        if (step === 'unknown_space') {
          await this.#redis.retire(address, reader.incarnation);
          return { ...report, status: 'unknown_space' };
        }
        if (step === 'moved') {
          if (now() >= endMs) return { ...report, status: 'continues' };
          continue;
        }
        report.seq = reader.cursor;
        await settling;
        const missing = reader.takeUntold();
        if (missing !== null)
          await this.#redis.tear(address, { incarnation: reader.incarnation, ...missing });
        if (step !== null) {
          report.operations += step.operations;
          report.entries += step.entries.length;
          report.batches++;
          const first = step.entries[0];
          if (first !== undefined)
            this.#options.onBatch?.({
              operations: step.operations,
              noEffects: step.noEffects.length,
              durationMs: now() - startMs,
              lagMs: Math.max(0, now() - first.seq / 1_000),
            });
          onResults?.(step.results, reader.cursor);
          if (step.dead.length > 0)
            this.#options.onEvent({ event: 'dead_letters', address, count: step.dead.length });
          dead.push(...step.dead);
        }
        const isOut = now() >= endMs;
        // A drain without a claim does its work and ends. A drain with uncorrected dead letters does not pause: another could take
        // over meanwhile, and they would stay uncorrected.
        const isFree = reader.token !== null && dead.length === 0;
        const mayRest = isFree && !reader.hasMore && now() < restsUntilMs;
        const settled = this.#redis.settle(address, {
          incarnation: reader.incarnation,
          committed: reader.cursor,
          token: reader.token,
          next: isOut ? 'stop' : mayRest ? 'pause' : 'continue',
          operations: step?.operations ?? 0,
          noEffects: step?.noEffects ?? [],
          entries: step?.entries.length ?? 0,
          bytes: step?.entries.reduce((sum, entry) => sum + entry.bytes, 0) ?? 0,
          latencyMsSum:
            step?.entries.reduce((sum, entry) => sum + Math.max(0, now() - entry.seq / 1_000), 0) ?? 0,
        });
        if (reader.hasMore && !isOut) {
          // Only the next settle waits for it: it runs parallel to the next batch.
          settling = settled.then(renew);
          settling.catch(() => undefined);
          continue;
        }
        const { isDrained, restMs, ...lag } = await settled;
        renew(lag);
        if (isDrained) {
          // The claim ended with the last of the log.
          reader.token = null;
          if (!(await this.#correct(address, reader.cursor, dead))) return report;
        }
        if (isOut) return { ...report, status: 'continues' };
        if (restMs > 0) await this.#rests.take(restMs);
      }
    } finally {
      await settling.catch(() => undefined);
      await renewing;
      reader.end();
    }
  }

  /**
   * Redis knows nothing of the space. If its log lived there, entries may have survived what is known of them: the log is
   * opened again, which finds them. @returns whether there is one to read
   */
  async #reopen(address: LogAddress): Promise<boolean> {
    const known = await this.#postgres.loadCursor(address);
    if (known === null || !known.isLogOpen) return false;
    const nothing = { ...UNCOUNTED, actor: null, entries: [] };
    const seen = await this.#redis.append(address, { ...nothing, opened: null });
    if (seen.status !== 'cold') return seen.status === 'appended';
    const instance = await this.#redis.readInstance();
    const opened = await this.#postgres.openLog(address, { instance, isLogAbsent: seen.isLogAbsent });
    if (opened === null) return false;
    return (await this.#redis.append(address, { ...nothing, opened })).status === 'appended';
  }

  /** One batch. @returns null where the log has nothing behind the cursor. */
  async #apply(address: LogAddress, reader: LogReader): Promise<Step | 'moved' | 'unknown_space' | null> {
    const { incarnation, cursor: from } = reader;
    const incidents = reader.takeIncidents();
    const entries = this.#sizes.take(address, reader.entries);
    const first = entries[0];
    // A break that an incident tells of already is passed over in silence.
    if (first === undefined && incidents.length === 0 && reader.last <= from) return null;
    const stage = first?.ops[0];
    if (first !== undefined && stage?.op === 'stage')
      return this.#applyStage(address, reader, first, stage, incidents);

    const asked = findAsked(entries);
    let known: Known = new Map();
    if (asked.length > 0) {
      const { cursor, seqs } = await this.#postgres.loadSeqs(address, asked);
      if (cursor !== from) return reader.moveTo(cursor);
      known = seqs;
    }
    const apart = { objects: new Set<string>(), users: new Set<string>(), messages: new Set<string>() };
    // Redis's clock at its last append: callers of much older entries have been answered `queued`.
    const returnsAfter = reader.last - LIMITS.writtenObjectsKeptMs * 1_000;
    for (let round = 0; ; round++) {
      const plan = planBatch(entries, known, { rowsMax: LIMITS.batchRowsMax, apart, returnsAfter });
      const used = entries.slice(0, plan.used);
      // Entries that are missing at the end of the log are skipped too: the incident says so.
      const to = used.at(-1)?.seq ?? reader.last;
      reader.prefetch(plan.used);
      const batch = { ...plan, incarnation, from, to, incidents, origins: used };
      let outcome: BatchOutcome;
      try {
        outcome = await this.#postgres.applyBatch(address, batch);
      } catch (error) {
        if (!(error instanceof AppError && error.retrySmaller) || plan.used <= 1) throw error;
        // Sent again as it is, it would be too much again.
        this.#sizes.shrink(address, plan.used);
        return reader.moveTo(from);
      }
      if (outcome.status === 'unknown_space') return 'unknown_space';
      if (outcome.status === 'moved')
        return outcome.incarnation === incarnation ? reader.moveTo(outcome.cursor) : 'unknown_space';
      if (outcome.status === 'applied') {
        reader.advance(plan.used, to);
        this.#sizes.grow(address);
        this.#tellIncidents(address, incidents);
        const results = findDecided(plan, outcome);
        const noEffects = findNoEffects(used, plan, outcome);
        return { entries: used, operations: plan.operations, dead: outcome.dead, results, noEffects };
      }
      if (outcome.status === 'log_open') throw notDirect();
      for (const id of outcome.objectIds) apart.objects.add(id);
      for (const id of outcome.userIds) apart.users.add(id);
      for (const id of outcome.messageIds) apart.messages.add(id);
      if (round === POISON_ROUNDS_MAX)
        throw new AppError('internal', 'A batch cannot be applied, and its rows can.');
    }
  }

  async #applyStage(
    address: LogAddress,
    reader: LogReader,
    entry: ReadEntry,
    { id, mode }: StageOperation,
    incidents: Incident[],
  ): Promise<Step | 'moved' | 'unknown_space'> {
    const { incarnation, cursor: from } = reader;
    const { seq: to, actor, requestId, waits } = entry;
    const step = { incarnation, from, to, stageId: id, mode, actor, requestId, waits, incidents };
    const apply = () => this.#postgres.applyStage(address, step);
    const refuseOther = (error: unknown) => {
      const isOld = this.#options.now() - to / 1_000 > STAGE_TRIED_MS_MAX;
      if (!(error instanceof AppError && error.retrySmaller && isOld)) throw error;
    };
    const outcome = await this.#invalidateWhile(address, () =>
      apply().catch(async (error: unknown) => {
        refuseOther(error);
        // It may have been Postgres: once more, where that answers.
        await this.#postgres.loadCursor(address);
        return apply().catch(async (again: unknown) => {
          refuseOther(again);
          // It cannot be made smaller, as a batch can: it would be too much for ever.
          await this.#postgres.dropStage(address, id);
          return apply();
        });
      }),
    );
    if (outcome.status === 'unknown_space') return 'unknown_space';
    if (outcome.status === 'moved')
      return outcome.incarnation === incarnation ? reader.moveTo(outcome.cursor) : 'unknown_space';
    if (outcome.status === 'log_open') throw notDirect();
    reader.advance(1, to);
    this.#tellIncidents(address, incidents);
    const dead = outcome.status === 'dead' ? [outcome.dead] : [];
    return { entries: [entry], operations: 1, dead, results: [], noEffects: [] };
  }

  /** With a saved world come people, models, media and messages, which other spaces show too. */
  #invalidateWhile<T>({ tenantId }: LogAddress, write: () => Promise<T>): Promise<T> {
    return this.#renewer === null ? write() : this.#renewer.invalidateWhile(tenantId, write);
  }

  #tellIncidents(address: LogAddress, incidents: readonly Incident[]): void {
    for (const { kind } of incidents) this.#options.onEvent({ event: 'drain_incident', address, kind });
  }

  /** See appendCorrections. A failure is told, and leaves them to a later drain. @returns whether there is more to drain now. */
  async #correct(address: LogAddress, cursor: Seq, dead: DeadOperation[]): Promise<boolean> {
    const stores = { redis: this.#redis, postgres: this.#postgres };
    try {
      while (dead.length > 0) {
        const isAppended = await appendCorrections(stores, address, cursor, dead);
        // This includes dead letters of earlier drains: in a quiet space no other drain comes for them.
        if (dead.length === 0) dead.push(...(await this.#postgres.listUncorrected(address, CORRECTIONS_MAX)));
        if (isAppended) return true;
      }
      return false;
    } catch (cause) {
      this.#options.onEvent({ event: 'correction_failed', address, cause });
      return false;
    }
  }

  async #goOnLater(address: LogAddress): Promise<void> {
    const { publishDrain, onEvent } = this.#options;
    try {
      await publishDrain?.({ ...address, delaySeconds: GO_ON_DELAY_SECONDS });
    } catch (cause) {
      // The schedule's sweep comes anyway.
      onEvent({ event: 'drain_failed', address, cause });
    }
  }
}

/** Unexpected `log_open` for a logged write. */
function notDirect(): AppError {
  return new AppError('internal', 'A log is taken for a write around it.');
}

interface Step {
  entries: ReadEntry[];
  operations: number;
  dead: DeadOperation[];
  results: { seq: Seq; results: OperationResult[] }[];
  noEffects: NoEffect[];
}
