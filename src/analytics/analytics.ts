import { AppError, type FieldError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { type Report, type ReportName, type ReportRows, type Span, VIEWS, type ViewName } from './reports.ts';

const DAY_MS = 86_400_000;

/** The part of a database that Analytics needs. */
export interface AnalyticsStore {
  /** @returns at most `limit` rows, and when their main view was refreshed. */
  readReport<Name extends ReportName>(
    tenantId: string,
    name: Name,
    span: Span,
    limit: number,
  ): Promise<{ refreshedAt: string | null; rows: ReportRows[Name][] }>;
  /** @throws store_unavailable */
  ping(): Promise<void>;
  /** @returns false where another transaction refreshes the view now. */
  refreshView(view: ViewName): Promise<boolean>;
}

/** The figures of tenants. They are counted by a refresh of views, and only read here. */
export class Analytics {
  readonly #store: AnalyticsStore;
  readonly #now: () => number;

  constructor(store: AnalyticsStore, { now }: { now: () => number }) {
    this.#store = store;
    this.#now = now;
  }

  /** @param span without a day: until today, and as long as `LIMITS.analyticsDaysDefault`. @throws validation_failed */
  async read<Name extends ReportName>(
    tenantId: string,
    name: Name,
    span: { from?: string | undefined; to?: string | undefined } = {},
  ): Promise<Report<Name>> {
    const days = checkSpan(span, this.#now());
    const rowsMax = LIMITS.analyticsRowsMax;
    const { refreshedAt, rows } = await this.#store.readReport(tenantId, name, days, rowsMax + 1);
    return { ...days, refreshedAt, rows: rows.slice(0, rowsMax), truncated: rows.length > rowsMax };
  }

  /**
   * Counts all figures again. Each view is refreshed in a transaction of its own, and one that fails does not stop the others. A
   * database that is away does.
   * @returns the milliseconds of each refreshed view; a view that another process refreshes now is absent
   * @throws the first failure, after the others were refreshed
   */
  async refreshViews(): Promise<Partial<Record<ViewName, number>>> {
    const took: Partial<Record<ViewName, number>> = {};
    const failures: unknown[] = [];
    for (const view of VIEWS) {
      // Its time is short. A refresh would wait for a database that is away as long as for one that works.
      await this.#store.ping();
      const startedMs = this.#now();
      try {
        if (await this.#store.refreshView(view)) took[view] = Math.max(0, this.#now() - startedMs);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return took;
  }
}

function checkSpan(
  { from, to }: { from?: string | undefined; to?: string | undefined },
  nowMs: number,
): Span {
  const errors: FieldError[] = [];
  const read = (path: string, text: string | undefined, otherwise: () => number): number => {
    if (text === undefined) return otherwise();
    const ms = readDay(text);
    if (ms === null) errors.push({ path, message: 'must be a day such as 2026-11-28' });
    return ms ?? Number.NaN;
  };
  const toMs = read('/to', to, () => Math.floor(nowMs / DAY_MS) * DAY_MS);
  const fromMs = read('/from', from, () => toMs - (LIMITS.analyticsDaysDefault - 1) * DAY_MS);
  if (errors.length === 0 && fromMs > toMs)
    errors.push({ path: '/from', message: `must not be after "to", which is ${writeDay(toMs)}` });
  const days = (toMs - fromMs) / DAY_MS + 1;
  if (days > LIMITS.analyticsDaysMax)
    errors.push({
      path: '/from',
      message: `must begin at most ${LIMITS.analyticsDaysMax} days before the end; the span has ${days} days`,
    });
  if (errors.length > 0) throw new AppError('validation_failed', 'The input is not valid.', { errors });
  return { from: writeDay(fromMs), to: writeDay(toMs) };
}

/** The start of a day; null if there is no such day. A year has four digits. */
function readDay(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return null;
  const ms = Date.parse(`${text}T00:00:00Z`);
  // JavaScript takes 30 February for 2 March.
  return Number.isNaN(ms) || text.startsWith('0000') || writeDay(ms) !== text ? null : ms;
}

function writeDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
