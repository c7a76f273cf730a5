import { type Config, readRetention } from '../../config.ts';
import { countOf } from '../../helpers/counts.ts';
import type { JobOutcome } from '../../jobs/job-runs.ts';
import type { Counts } from '../../jobs/upkeep-stores.ts';
import type { Postgres } from '../../postgres/client.ts';
import type { RedisClient } from '../../redis/client.ts';
import { LIMITS } from '../../world/limits.ts';
import { type Context, defineCommand, JSON_OPTION, type Outcome } from '../command.ts';
import { UsageError } from '../errors.ts';
import { drainWith, readConfig } from './drain.ts';

/** The work of each job, in the order in which all of them run. */
const JOBS = ['drain', 'cleanup', 'refresh-views', 'seal-audit'] as const;
type Job = (typeof JOBS)[number];

export const jobsRunCommand = defineCommand({
  name: 'jobs run',
  description:
    'Run the jobs that QStash calls elsewhere: drain, clean up, refresh views and seal the audit, straight at the stores',
  args: {
    job: { type: 'positional', description: `${JOBS.join(', ')}; all of them by default`, required: false },
    ...JSON_OPTION,
  },
  examples: ['jobs run', 'jobs run cleanup'],
  async run({ job }, context) {
    const jobs = job === undefined ? JOBS : [readJob(job)];
    const config = readConfig(context);
    const done: [Job, Outcome][] = [];
    for (const name of jobs) {
      // Without a Redis there is nothing to drain.
      if (name === 'drain' && job === undefined && config.redis === null) continue;
      done.push([name, await runOrFail(name, config, context, jobs.length > 1)]);
    }
    return {
      document: Object.fromEntries(done.map(([name, { document }]) => [name, document])),
      text: done.map(([name, { text }]) => `${name}: ${text}`).join('\n'),
      failed: done.some(([, { failed }]) => failed === true),
    };
  },
});

function readJob(text: string): Job {
  const job = JOBS.find((name) => name === text);
  if (job !== undefined) return job;
  throw new UsageError(`unknown job: ${text}; there is ${JOBS.join(', ')}`);
}

/** A job that fails does not stop the others. */
async function runOrFail(job: Job, config: Config, context: Context, isOneOfMany: boolean): Promise<Outcome> {
  try {
    return await runOne(job, config, context);
  } catch (error) {
    if (!isOneOfMany || error instanceof UsageError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    context.progress.note(`${job}: ${message}`);
    return { document: { failed: message }, text: 'failed', failed: true };
  }
}

function runOne(job: Job, config: Config, context: Context): Promise<Outcome> {
  switch (job) {
    case 'drain':
      return drainWith(config, null, context);
    case 'cleanup':
      return cleanUp(config, context);
    case 'refresh-views':
      return refreshViews(config);
    case 'seal-audit':
      return sealAudit(config, context);
  }
}

async function refreshViews(config: Config): Promise<Outcome> {
  const [
    { openPg },
    { Analytics },
    { JobRuns },
    { createAnalyticsStore },
    { createUpkeepStore },
    { uuidv7 },
  ] = await Promise.all([
    import('../../postgres/pg.ts'),
    import('../../analytics/analytics.ts'),
    import('../../jobs/job-runs.ts'),
    import('../../postgres/analytics-store.ts'),
    import('../../postgres/upkeep-store.ts'),
    import('uuidv7'),
  ]);
  const databaseUrl = readDatabase(config).url;
  const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: LIMITS.refreshMsMax });
  try {
    const analytics = new Analytics(createAnalyticsStore(postgres, postgres), { now: Date.now });
    const runs = new JobRuns(createUpkeepStore(postgres), { now: Date.now, createId: uuidv7 });
    const { counts } = await runs.run('refresh-views', async () => ({
      counts: await analytics.refreshViews(),
    }));
    const took = Object.entries(counts).map(([view, ms]) => `${view} ${ms} ms`);
    return {
      document: { views: counts },
      text: took.length === 0 ? 'another process refreshes all views now' : took.join(', '),
    };
  } finally {
    await postgres.close();
  }
}

/** Goes on until all rows of finished transactions are sealed, or the user interrupts it. */
async function sealAudit(config: Config, { progress, signal }: Context): Promise<Outcome> {
  const [{ openPg }, { AuditSealer }, { JobRuns }, { createSealStore }, { createUpkeepStore }, { uuidv7 }] =
    await Promise.all([
      import('../../postgres/pg.ts'),
      import('../../audit/audit-sealer.ts'),
      import('../../jobs/job-runs.ts'),
      import('../../postgres/audit-seal-store.ts'),
      import('../../postgres/upkeep-store.ts'),
      import('uuidv7'),
    ]);
  const { url, timeoutMs } = readDatabase(config);
  const postgres = openPg({ databaseUrl: url, poolSizeMax: 1, timeoutMs });
  try {
    const sealer = new AuditSealer(createSealStore(postgres), {
      now: Date.now,
      onWaiting: (seconds) =>
        progress.note(`seal-audit: rows wait since ${Math.round(seconds)} s for an older transaction to end`),
    });
    const runs = new JobRuns(createUpkeepStore(postgres), { now: Date.now, createId: uuidv7 });
    const total = { rows: 0, seals: 0 };
    for (;;) {
      const { status, counts } = await runs.runOften(
        'seal-audit',
        () => sealer.run({ budgetMs: LIMITS.auditSealMsMax, signal }),
        (cause) => progress.note(`seal-audit: the run left no row: ${String(cause)}`),
      );
      total.rows += counts.rows;
      total.seals += counts.seals;
      const text = `${countOf(total.rows, 'row')} in ${countOf(total.seals, 'seal')}`;
      if (status === 'busy')
        return { document: { status, ...total }, text: `another process seals now; ${text}` };
      if (status === 'done') return { document: { status, ...total }, text };
      if (signal.aborted)
        return { document: { status, ...total }, text: `${text}; rows are left`, failed: true };
      progress.note(`seal-audit: ${text}`);
    }
  } finally {
    await postgres.close();
  }
}

function readDatabase({ database }: Config): NonNullable<Config['database']> {
  if (database !== null) return database;
  throw new UsageError('DATABASE_URL (and PERSISTENCE_ENABLED, if it is off) must be set', {
    showUsage: false,
  });
}

async function cleanUp(config: Config, context: Context): Promise<Outcome> {
  const { redis } = config;
  const database = readDatabase(config);
  // Loaded here: few commands need both stores.
  const [{ openPg }, { openUpstash }, { openTcpRedis }] = await Promise.all([
    import('../../postgres/pg.ts'),
    import('../../redis/upstash.ts'),
    import('../../redis/tcp.ts'),
  ]);
  const postgres = openPg({ databaseUrl: database.url, poolSizeMax: 1, timeoutMs: database.timeoutMs });
  const client = redis && (redis.kind === 'upstash' ? openUpstash(redis) : openTcpRedis(redis));
  try {
    return describe(await runCleanup(config, postgres, client, context));
  } finally {
    await Promise.all([postgres.close(), client?.close()]);
  }
}

/** Goes on until nothing is left, or the user interrupts it. */
async function runCleanup(
  config: Config,
  postgres: Postgres,
  redis: RedisClient | null,
  { progress, signal }: Context,
): Promise<JobOutcome & { left: string[]; failed: string[] }> {
  const [{ Upkeep }, { JobRuns }, { createUpkeepStore }, { createForgetSpace }, { KnownLogs }] =
    await Promise.all([
      import('../../jobs/upkeep.ts'),
      import('../../jobs/job-runs.ts'),
      import('../../postgres/upkeep-store.ts'),
      import('../../redis/forget-space.ts'),
      import('../../redis/known-logs.ts'),
    ]);
  const { uuidv7 } = await import('uuidv7');
  const store = createUpkeepStore(postgres, { writesEvents: config.analyticsEnabled });
  const upkeep = new Upkeep(store, {
    now: Date.now,
    retention: readRetention(config),
    forgetSpace: redis && createForgetSpace(redis, new KnownLogs(redis)),
    sweepObjects: await openSweep(config.bucket, postgres),
    onFailure: (step, cause) =>
      progress.note(`cleanup: ${step} failed: ${cause instanceof Error ? cause.message : String(cause)}`),
  });
  const runs = new JobRuns(store, { now: Date.now, createId: uuidv7 });
  return runs.run('cleanup', async () => {
    const counts: Counts = {};
    for (;;) {
      const report = await upkeep.run({ budgetMs: LIMITS.cleanupMsMax, signal });
      for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
      const { left, failed, failure } = report;
      if (left.length === 0 || failed.length > 0 || signal.aborted)
        return { counts, left, failed, ...(failure !== undefined && { failure }) };
      progress.note(`cleanup: ${listCounts(counts)}; ${left.join(', ')} go on`);
    }
  });
}

/** Deletes objects of the bucket that the environment names. A binding of a Worker is not reached from here. */
async function openSweep(
  bucket: Config['bucket'],
  postgres: Postgres,
): Promise<(objectsMax: number) => Promise<number>> {
  if (bucket === null) return async () => 0;
  const { openLibrary } = await import('../open-bucket.ts');
  const library = openLibrary(bucket, postgres);
  return (objectsMax) => library.sweep({ objectsMax });
}

function describe({ counts, left, failed }: JobOutcome & { left: string[]; failed: string[] }): Outcome {
  const parts = [
    listCounts(counts),
    ...(left.length > 0 ? [`${countOf(left.length, 'step')} left`] : []),
    ...(failed.length > 0 ? [`failed: ${failed.join(', ')}`] : []),
  ];
  return {
    document: { counts, left, failed },
    text: parts.join('; '),
    failed: failed.length + left.length > 0,
  };
}

function listCounts(counts: Counts): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count.toLocaleString('en-US')}`);
  return parts.length === 0 ? 'nothing was over its time' : parts.join(', ');
}
