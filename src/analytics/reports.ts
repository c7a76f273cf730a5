/** The reports of a tenant. Each row is of a span of days, in UTC. A number that nobody knows is null. */

export interface ActivityRow {
  /** `YYYY-MM-DD` */
  day: string;
  /** Null: events that name no space. */
  spaceId: string | null;
  people: number;
  sessions: number;
  minutes: number;
  changes: number;
  messages: number;
  /** The most sessions open at one time; null where no session was open, or the events of that day are deleted. */
  peak: number | null;
}

export interface SpaceRow {
  spaceId: string | null;
  /** Null: the space is deleted, or it is new. The same is true for the columns about the present. */
  name: string | null;
  /** A person counts once in the span. */
  people: number;
  sessions: number;
  minutes: number;
  changes: number;
  messages: number;
  peak: number | null;
  /** Now. */
  objects: number | null;
  lastChangeAt: string | null;
}

export interface ModelRow {
  modelId: string;
  /** Null: the library does not have it. */
  name: string | null;
  objects: number;
  spaces: number;
}

export interface RetentionRow {
  /** The first day of these people. */
  day: string;
  people: number;
  /** The people who were there so many days later; null while that day is not over. */
  day1: number | null;
  day7: number | null;
  day30: number | null;
}

export interface ReportRows {
  activity: ActivityRow;
  spaces: SpaceRow;
  models: ModelRow;
  retention: RetentionRow;
}

export type ReportName = keyof ReportRows;

/** Both days are included. */
export interface Span {
  from: string;
  to: string;
}

export interface Report<Name extends ReportName> extends Span {
  /** When its figures were last counted; null: never. */
  refreshedAt: string | null;
  rows: ReportRows[Name][];
  /** There are more rows than one answer has. */
  truncated: boolean;
}

/** The materialized views. A refresh takes them in this order. */
export const VIEWS = [
  'daily_activity',
  'peak_presence',
  'retention',
  'space_statistics',
  'popular_models',
] as const;

export type ViewName = (typeof VIEWS)[number];
