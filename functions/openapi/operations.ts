import * as z from 'zod';
import type { JobOverview, ShownRun } from '../../src/jobs/job-schedules.ts';
import { JOB_NAMES } from '../../src/jobs/upkeep-stores.ts';
import type { IncidentRecord } from '../../src/log/incidents.ts';
import type { DeploymentFigures, Figures, Histogram, TenantFigures } from '../../src/metrics/figures.ts';
import type { SpaceFigures } from '../../src/metrics/figures-stores.ts';
import { idSchema } from '../../src/world/schemas.ts';
import type { Health } from '../api/health-types.ts';
import { countAnswer, healthAnswer, propertiesAnswer, seqAnswer, timeAnswer } from './answers.ts';

/** The answers of the routes for operations. */

export const incidentAnswer: z.ZodType<IncidentRecord> = z.strictObject({
  id: idSchema,
  spaceId: idSchema,
  kind: z.enum(['log_lost', 'log_gap', 'redis_restarted', 'reader_ahead']),
  detail: propertiesAnswer,
  at: timeAnswer,
});

const shownRunAnswer: z.ZodType<ShownRun> = z.strictObject({
  startedAt: timeAnswer,
  endedAt: timeAnswer.nullable(),
  status: z
    .enum(['ok', 'failed', 'running'])
    .describe('`failed`: also a run that has no end after an hour, because its process died.'),
  counts: z.record(z.string(), z.number()).nullable().describe('Only for the operator: rows by step.'),
  failure: z.string().nullable().describe('Only for the operator: the code of the failure.'),
});

export const jobRunsAnswer: z.ZodType<{ jobs: JobOverview[] }> = z.strictObject({
  jobs: z.array(
    z.strictObject({
      job: z.enum(JOB_NAMES),
      schedule: z.string().nullable().describe('Five cron fields in UTC; null: no QStash is configured.'),
      nextRunAt: timeAnswer.nullable(),
      lastRun: shownRunAnswer.nullable(),
      runs: z.array(shownRunAnswer).describe('Newest first.'),
    }),
  ),
});

const milliseconds = z.number().min(0);

const tenantFiguresAnswer: z.ZodType<TenantFigures> = z.strictObject({
  appended: countAnswer
    .nullable()
    .describe(
      'Operations that logs took: `drained` and the pending ones. It rises, unless entries are lost or their space is deleted.',
    ),
  drained: countAnswer.nullable().describe('Operations that drains committed. It only rises.'),
  pendingSpaces: countAnswer.nullable(),
  pendingOperations: countAnswer.nullable(),
  pendingEntries: countAnswer.nullable(),
  pendingBytes: countAnswer.nullable(),
  oldestPendingMs: milliseconds
    .nullable()
    .describe('How long the oldest pending entry has waited: the durability lag.'),
  spilled: countAnswer.nullable().describe('Requests in Postgres that wait for Redis.'),
  streams: countAnswer.nullable().describe('Open streams.'),
});

const spaceFiguresAnswer: z.ZodType<SpaceFigures> = z.strictObject({
  id: idSchema,
  seq: seqAnswer.describe('The newest seq of its log.'),
  appended: countAnswer.describe('Operations that its log took since it was opened in this Redis.'),
  pendingOperations: countAnswer,
  pendingEntries: countAnswer,
  pendingBytes: countAnswer,
  oldestPendingMs: milliseconds,
  streams: countAnswer,
  sessions: countAnswer.describe('Sessions that are present.'),
});

const histogramAnswer: z.ZodType<Histogram> = z.strictObject({
  le: z.array(z.number()).describe('Upper bounds in seconds, ascending.'),
  counts: z.array(countAnswer).describe('Observations up to each bound, cumulative.'),
  count: countAnswer.describe('All observations.'),
  sumSeconds: z.number().min(0),
});

const deploymentFiguresAnswer: z.ZodType<DeploymentFigures> = z
  .strictObject({
    streams: countAnswer.nullable(),
    pendingSpaces: countAnswer.nullable(),
    appended: countAnswer.nullable(),
    drained: countAnswer.nullable(),
    withoutEffect: countAnswer.nullable(),
    cacheHits: countAnswer.nullable(),
    cacheMisses: countAnswer.nullable(),
    latency: z
      .strictObject({ append: histogramAnswer, read: histogramAnswer, commit: histogramAnswer })
      .nullable()
      .describe(
        '`append`: POST …/updates. `read`: GET …/state. `commit`: from append to commit, of the oldest entry in each batch.',
      ),
  })
  .describe('Counts rise every 10 s, when processes add theirs. They are null without a METRICS_TOKEN.');

const { status, persistence, awaySince } = healthAnswer.shape;

export const operationsAnswer: z.ZodType<
  Omit<Figures, 'answered'> & { health: Pick<Health, 'status' | 'persistence' | 'awaySince'> }
> = z.strictObject({
  at: timeAnswer,
  health: z.strictObject({ status, persistence, awaySince }),
  tenant: tenantFiguresAnswer,
  spaces: z
    .array(spaceFiguresAnswer)
    .describe(
      'At most 20. Spaces with the most pending operations come first, then spaces with the newest entries.',
    ),
  deployment: deploymentFiguresAnswer
    .nullable()
    .describe("The sums of all tenants; null unless the key is of the operator's tenant."),
});
