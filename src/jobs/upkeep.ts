import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Counts, DeletedSpace, RecordKind, UpkeepStore } from './upkeep-stores.ts';

/** Days after which rows go. */
export interface UpkeepRetention {
  eventDays: number;
  chatDeletedDays: number;
  spaceDeletedDays: number;
  deadLetterDays: number;
  incidentDays: number;
  sessionDays: number;
  /** Results are kept as long as the keys of their writes. */
  resultsSeconds: number;
}

export interface UpkeepOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  retention: UpkeepRetention;
  /** Removes the keys of a deleted space from Redis; null where there is none. */
  forgetSpace: ((space: DeletedSpace) => Promise<void>) | null;
  /** Deletes up to so many objects from the bucket that nothing names. @returns how many */
  sweepObjects: (objectsMax: number) => Promise<number>;
  /** Told of a step that failed. The others go on. */
  onFailure: (step: string, cause: unknown) => void;
}

export interface UpkeepReport {
  /** By step: rows, days, spaces or objects. A step that found nothing is absent. */
  counts: Counts;
  /** Steps that time did not suffice for: another run goes on. */
  left: string[];
  failed: string[];
  /** The first failure. */
  failure?: unknown;
}

/** The result of one call of a step. */
interface Batch {
  counts: Counts;
  isDone: boolean;
}

interface Step {
  name: string;
  next: () => Promise<Batch>;
}

const DAY_MS = 86_400_000;
const REMOVALS_KEPT_MS = LIMITS.removalsSweptDays * DAY_MS;
/** Results are kept at least so long: a caller waits for them. */
const RESULTS_SECONDS_MIN = 60;

/**
 * Removes what is over its time, in steps. Each step goes on in batches of `cleanupRowsMax` rows. Every round gives each step one batch, so
 * that a long backlog of one keeps no other waiting. A batch is one transaction, and a repeated one finds less or nothing. So a run may end
 * anywhere, and two may run at the same time.
 */
export class Upkeep {
  readonly #store: UpkeepStore;
  readonly #options: UpkeepOptions;

  constructor(store: UpkeepStore, options: UpkeepOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** @param onProgress told of the counts so far after each round. */
  async run({
    budgetMs,
    batchesMax = Number.POSITIVE_INFINITY,
    signal,
    onProgress,
  }: {
    budgetMs: number;
    batchesMax?: number;
    signal?: AbortSignal;
    onProgress?: (counts: Readonly<Counts>) => void;
  }): Promise<UpkeepReport> {
    const { now, onFailure } = this.#options;
    const endMs = now() + budgetMs;
    const report: UpkeepReport = { counts: {}, left: [], failed: [] };
    let batches = 0;
    const isOver = () => signal?.aborted === true || batches >= batchesMax || now() >= endMs;
    let open = this.#listSteps(now());
    while (open.length > 0 && !isOver()) {
      const waiting: Step[] = [];
      for (const step of open) {
        if (isOver()) {
          waiting.push(step);
          continue;
        }
        batches++;
        try {
          const { counts, isDone } = await step.next();
          for (const [name, count] of Object.entries(counts))
            if (count > 0) report.counts[name] = (report.counts[name] ?? 0) + count;
          if (!isDone) waiting.push(step);
        } catch (cause) {
          report.failure ??= cause ?? new AppError('internal', 'A step of the cleanup failed.');
          report.failed.push(step.name);
          onFailure(step.name, cause);
        }
      }
      open = waiting;
      onProgress?.(report.counts);
    }
    report.left = open.map(({ name }) => name);
    return report;
  }

  #listSteps(nowMs: number): Step[] {
    const { retention, sweepObjects } = this.#options;
    const { cleanupRowsMax: limit } = LIMITS;
    const store = this.#store;
    const ago = (days: number) => new Date(nowMs - days * DAY_MS);
    const records = (name: string, kind: RecordKind, before: Date) =>
      makeStep(name, (from) => store.cleanRecords(kind, before, from, limit));
    const repeat = (name: string, count: () => Promise<number>, full: number): Step => ({
      name,
      async next() {
        const removed = await count();
        return { counts: { [name]: removed }, isDone: removed < full };
      },
    });
    const resultsMs = Math.max(retention.resultsSeconds, RESULTS_SECONDS_MIN) * 1_000;
    return [
      {
        name: 'eventDaysAdded',
        next: async () => ({
          counts: { eventDaysAdded: await store.addEventDays(toDay(nowMs), LIMITS.eventDaysAhead + 1) },
          isDone: true,
        }),
      },
      this.#dropDays('eventDays', () => store.dropEventDay(toDay(nowMs - retention.eventDays * DAY_MS))),
      {
        name: 'auditDaysAdded',
        next: async () => ({ counts: { auditDaysAdded: await store.addAuditDays() }, isDone: true }),
      },
      this.#dropDays('auditDays', () => store.dropAuditDay()),
      repeat(
        'sessionsEnded',
        () => store.endExpiredSessions(LIMITS.cleanupSessionsEndedMax),
        LIMITS.cleanupSessionsEndedMax,
      ),
      records('messages', 'messages', ago(retention.chatDeletedDays)),
      records('sessions', 'sessions', ago(retention.sessionDays)),
      records('keys', 'keys', ago(LIMITS.keysKeptDays)),
      records('results', 'results', new Date(nowMs - resultsMs)),
      records('writtenObjects', 'written', new Date(nowMs - LIMITS.writtenObjectsKeptMs)),
      records('deadLetters', 'dead_letters', ago(retention.deadLetterDays)),
      records('incidents', 'incidents', ago(retention.incidentDays)),
      records('personDays', 'person_days', ago(LIMITS.analyticsDaysKept)),
      records('spaceDays', 'space_days', ago(LIMITS.analyticsDaysKept)),
      this.#purgeSpaces(ago(retention.spaceDeletedDays)),
      records('stages', 'stages', new Date(nowMs)),
      makeStep('worldRows', (from) => store.cleanWorlds(from, limit)),
      makeStep('removals', (from) => store.cleanRemovals(new Date(nowMs - REMOVALS_KEPT_MS), from, limit)),
      repeat('objects', () => sweepObjects(LIMITS.assetSweepMax), LIMITS.assetSweepMax),
      repeat('jobRuns', () => store.cleanJobRuns(ago(LIMITS.jobRunsKeptDays), limit), limit),
      repeat('eventLogs', () => store.cleanEventLogs(ago(LIMITS.analyticsDaysKept), limit), limit),
    ];
  }

  /** One day in a batch. A day that somebody reads for long stays for the next run. */
  #dropDays(name: string, drop: () => ReturnType<UpkeepStore['dropEventDay']>): Step {
    return {
      name: `${name}Dropped`,
      next: async () => {
        const status = await drop();
        if (status === 'busy') return { counts: { [`${name}Busy`]: 1 }, isDone: true };
        return { counts: { [`${name}Dropped`]: status === 'dropped' ? 1 : 0 }, isDone: status === 'none' };
      },
    };
  }

  /** One batch of one space at a time. The keys in Redis go first, the row of the space last. */
  #purgeSpaces(before: Date): Step {
    const { forgetSpace } = this.#options;
    let from = '';
    let isLast = false;
    let current: DeletedSpace | undefined;
    const waiting: DeletedSpace[] = [];
    /** Spaces that this run left as they are. */
    const kept = new Set<string>();
    return {
      name: 'spaces',
      next: async () => {
        if (current === undefined && waiting.length === 0) {
          if (isLast) return { counts: {}, isDone: true };
          const { found, next } = await this.#store.listDeletedSpaces(before, from, LIMITS.cleanupSpacesMax);
          const fresh = found.filter((space) => !kept.has(nameOf(space)));
          waiting.push(...fresh);
          // A list full of spaces that stay would be the same again.
          isLast = next === null || (next === from && fresh.length === 0);
          from = next ?? from;
          return { counts: {}, isDone: isLast && waiting.length === 0 };
        }
        if (current === undefined) {
          current = waiting.shift() as DeletedSpace;
          await forgetSpace?.(current);
        }
        const { status, removed } = await this.#store.purgeSpace(current, before, LIMITS.cleanupRowsMax);
        if (status === 'kept') kept.add(nameOf(current));
        if (status !== 'continues') current = undefined;
        const isDone = isLast && current === undefined && waiting.length === 0;
        return { counts: { spaces: status === 'gone' ? 1 : 0, spaceRows: removed }, isDone };
      },
    };
  }
}

/** A step whose calls each begin where the last one ended. */
function makeStep(
  name: string,
  clean: (from: string) => Promise<{ removed: number; next: string | null }>,
): Step {
  let from = '';
  return {
    name,
    async next() {
      const { removed, next } = await clean(from);
      from = next ?? from;
      return { counts: { [name]: removed }, isDone: next === null };
    },
  };
}

function nameOf({ tenantId, spaceId, incarnation }: DeletedSpace): string {
  return `${tenantId}!${spaceId}!${incarnation}`;
}

function toDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
