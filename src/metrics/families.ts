/** One measured thing. Its name follows the conventions of Prometheus: base units, and `_total` for counts. */
export interface Family {
  type: 'counter' | 'gauge' | 'histogram';
  /** One sentence, shown in the text and in docs/operating.md. */
  help: string;
  labels: readonly string[];
  /** Of a histogram: upper bounds, ascending. The last bucket, `+Inf`, is not listed. */
  buckets?: readonly number[];
  /** Label values that are shown with 0 before anything was counted, so that the first increase is seen. */
  initial?: readonly (readonly string[])[];
}

const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DRAIN_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
const LAG_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

/**
 * Every family, in the order of the text. No label's value comes from a caller. It is a route's pattern, a known method, a status, or
 * a word of the code.
 */
export const FAMILIES = {
  worldkeep_store_up: {
    type: 'gauge',
    help: 'Whether the store answered this scrape: 1 or 0.',
    labels: ['store'],
  },
  worldkeep_http_requests_total: {
    type: 'counter',
    help: 'Requests answered. A route is a pattern, or unknown.',
    labels: ['method', 'route', 'status'],
  },
  worldkeep_http_request_seconds: {
    type: 'histogram',
    help: 'Seconds from a request to the beginning of its answer.',
    labels: ['method', 'route'],
    buckets: REQUEST_SECONDS,
  },
  worldkeep_operations_appended_total: {
    type: 'counter',
    help: 'Operations accepted, by what the answer promised.',
    labels: ['durability'],
    initial: [['queued'], ['committed'], ['spilled'], ['memory']],
  },
  worldkeep_operations_drained_total: {
    type: 'counter',
    help: 'Operations of logs that drains committed to Postgres.',
    labels: [],
  },
  worldkeep_operations_without_effect_total: {
    type: 'counter',
    help: 'Committed operations that changed nothing.',
    labels: [],
  },
  worldkeep_drain_batches_total: {
    type: 'counter',
    help: 'Batches that drains committed.',
    labels: [],
  },
  worldkeep_drain_batch_seconds: {
    type: 'histogram',
    help: 'Seconds that a drain took to plan and commit a batch.',
    labels: [],
    buckets: DRAIN_SECONDS,
  },
  worldkeep_durability_lag_seconds: {
    type: 'histogram',
    help: 'Seconds from append to commit of the oldest entry in each batch.',
    labels: [],
    buckets: LAG_SECONDS,
  },
  worldkeep_drain_failures_total: {
    type: 'counter',
    help: 'Failures of drains, by kind.',
    labels: ['kind'],
    initial: [['drain_failed'], ['correction_failed'], ['records_sweep_failed']],
  },
  worldkeep_backlog_spaces: {
    type: 'gauge',
    help: 'Spaces with entries that are not committed.',
    labels: [],
  },
  worldkeep_backlog_operations: {
    type: 'gauge',
    help: 'Operations in logs that are not committed.',
    labels: [],
  },
  worldkeep_backlog_entries: {
    type: 'gauge',
    help: 'Entries in logs that are not committed.',
    labels: [],
  },
  worldkeep_backlog_bytes: {
    type: 'gauge',
    help: 'Bytes of entries in logs that are not committed.',
    labels: [],
  },
  worldkeep_backlog_oldest_seconds: {
    type: 'gauge',
    help: 'Seconds for which the oldest entry has waited for its commit: the durability lag.',
    labels: [],
  },
  worldkeep_backlog_used_ratio: {
    type: 'gauge',
    help: 'The used part of a backlog limit, of the space that has used most: 1 refuses writes.',
    labels: [],
  },
  worldkeep_dead_letters_total: {
    type: 'counter',
    help: 'Operations that Postgres could not keep.',
    labels: [],
  },
  worldkeep_dead_letters: {
    type: 'gauge',
    help: 'Dead letters that nobody has replayed or deleted. It counts to 10,000.',
    labels: [],
  },
  worldkeep_incidents: {
    type: 'gauge',
    help: 'Incidents on record, by kind. It counts to 10,000 of all kinds.',
    labels: ['kind'],
  },
  worldkeep_spilled_requests: {
    type: 'gauge',
    help: 'Requests in Postgres that wait for Redis. It counts to 10,000.',
    labels: [],
  },
  worldkeep_spilled_requests_returned_total: {
    type: 'counter',
    help: 'Requests that returned to their logs after an outage of Redis.',
    labels: [],
  },
  worldkeep_spilled_operations_buried_total: {
    type: 'counter',
    help: 'Operations of waiting requests that became dead letters.',
    labels: [],
  },
  worldkeep_memory_requests_total: {
    type: 'counter',
    help: 'Requests that left the memory of a server: stored in Postgres, refused there, or lost.',
    labels: ['outcome'],
    initial: [['stored'], ['refused'], ['lost']],
  },
  worldkeep_state_reads_total: {
    type: 'counter',
    help: 'Reads of cached states. A hit loaded nothing from Postgres.',
    labels: ['result'],
    initial: [['hit'], ['miss']],
  },
  worldkeep_streams: {
    type: 'gauge',
    help: 'Open streams.',
    labels: [],
  },
  worldkeep_streams_opened_total: {
    type: 'counter',
    help: 'Streams that were opened.',
    labels: [],
  },
  worldkeep_events_total: {
    type: 'counter',
    help: 'Events for analysts: accepted, duplicate or dropped, and later stored or refused. A dropped event has a reason.',
    labels: ['outcome', 'reason'],
    initial: [
      ['accepted', ''],
      ['duplicate', ''],
      ['stored', ''],
      ['refused', ''],
      ...['backlog', 'tenant_backlog', 'redis_full', 'store_away', 'late', 'held', 'disabled'].map(
        (reason) => ['dropped', reason],
      ),
    ],
  },
  worldkeep_job_runs_total: {
    type: 'counter',
    help: 'Runs of jobs that QStash started, by outcome.',
    // Prometheus itself uses the label `job`.
    labels: ['job_name', 'outcome'],
    initial: ['drain', 'cleanup', 'refresh-views', 'seal-audit'].flatMap((name) => [
      [name, 'done'],
      [name, 'failed'],
    ]),
  },
  worldkeep_job_last_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When the newest run of the job without a failure began, in seconds since 1970.',
    labels: ['job_name'],
  },
  worldkeep_job_last_failed: {
    type: 'gauge',
    help: 'Whether the newest ended run of the job failed: 1 or 0.',
    labels: ['job_name'],
  },
  worldkeep_asset_bytes: {
    type: 'gauge',
    help: 'Bytes of all files in the bucket that a model or a media item uses.',
    labels: [],
  },
  worldkeep_asset_uploaded_bytes_total: {
    type: 'counter',
    help: 'Bytes of files that were uploaded.',
    labels: [],
  },
  worldkeep_counts_dropped_total: {
    type: 'counter',
    help: 'Counts that a process dropped because it had too many series.',
    labels: [],
  },
} as const satisfies Record<string, Family>;

export type FamilyName = keyof typeof FAMILIES;
type OfType<Type extends Family['type']> = {
  [Name in FamilyName]: (typeof FAMILIES)[Name]['type'] extends Type ? Name : never;
}[FamilyName];
export type CounterName = OfType<'counter'>;
export type HistogramName = OfType<'histogram'>;
export type GaugeName = OfType<'gauge'>;
export type LabelsOf<Name extends FamilyName> = Readonly<
  Record<(typeof FAMILIES)[Name]['labels'][number], string>
>;

export function findFamily(name: string): Family | null {
  return Object.hasOwn(FAMILIES, name) ? FAMILIES[name as FamilyName] : null;
}
