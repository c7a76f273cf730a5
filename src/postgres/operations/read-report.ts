import { type SQL, sql } from 'drizzle-orm';
import type { ReportName, ReportRows, Span, ViewName } from '../../analytics/reports.ts';
import type { Database, Postgres } from '../client.ts';
import { toTime } from '../rows.ts';

/** Drizzle maps no null. */
const count = (column: string) => sql`${sql.raw(column)}`.mapWith(Number);
const text = (column: string) => sql<string>`${sql.raw(column)}`;
const day = (column: string) => sql<string>`${sql.raw(column)}::text`;
/** Events that name no space have an empty id in the views. */
const spaceId = sql<string | null>`nullif(space_id, '')`;
const minutes = sql`minutes`.mapWith((value: string | number) => Math.round(Number(value) * 10) / 10);

const activityColumns = {
  people: count('people'),
  sessions: count('sessions'),
  minutes,
  changes: count('changes'),
  messages: count('messages'),
  peak: count('peak'),
};

/** Each report: the view that dates it, its SQL function, and its columns. */
const REPORTS = {
  activity: {
    view: 'daily_activity',
    from: sql`read_activity`,
    columns: { day: day('day'), spaceId, ...activityColumns },
  },
  spaces: {
    view: 'space_statistics',
    from: sql`read_spaces`,
    columns: {
      spaceId,
      name: text('name'),
      ...activityColumns,
      objects: count('objects'),
      lastChangeAt: sql`last_change_at`.mapWith(toTime),
    },
  },
  models: {
    view: 'popular_models',
    from: sql`read_models`,
    columns: {
      modelId: text('model_id'),
      name: text('name'),
      objects: count('objects'),
      spaces: count('spaces'),
    },
  },
  retention: {
    view: 'retention',
    from: sql`read_retention`,
    columns: {
      day: day('day'),
      people: count('people'),
      day1: count('day1'),
      day7: count('day7'),
      day30: count('day30'),
    },
  },
} as const satisfies Record<ReportName, { view: ViewName; from: SQL; columns: Record<string, SQL> }>;

/** The rows of a report, and when its view was last refreshed, of one moment. */
export async function readReport<Name extends ReportName>(
  postgres: Postgres,
  tenantId: string,
  name: Name,
  { from, to }: Span,
  limit: number,
): Promise<{ refreshedAt: string | null; rows: ReportRows[Name][] }> {
  const report: { view: ViewName; from: SQL; columns: Record<string, SQL> } = REPORTS[name];
  const [rows, [dated]] = await postgres.inTenant(
    tenantId,
    (db: Database) => [
      db.select(report.columns).from(sql`${report.from}(${from}::date, ${to}::date, ${limit}::integer)`),
      db
        .select({ at: sql<string | null>`refreshed_at` })
        .from(sql`view_refreshed_at(${report.view}) as refreshed_at`),
    ],
    'snapshot',
  );
  return {
    refreshedAt: dated?.at == null ? null : toTime(dated.at),
    rows: rows as unknown as ReportRows[Name][],
  };
}
