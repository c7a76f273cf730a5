import { uuidv7 } from 'uuidv7';
import { type Config, parseConfig } from '../../config.ts';
import { countOf } from '../../helpers/counts.ts';
import { pause } from '../../helpers/time.ts';
import type { LogAddress, LogStore } from '../../log/log-stores.ts';
import { AppError } from '../../world/errors.ts';
import { type Context, defineCommand, JSON_OPTION, type Outcome } from '../command.ts';
import { readStoresEnv } from '../deployment.ts';
import { type DrainedSpaces, drainSpaces } from '../drain-spaces.ts';
import { CommandError, UsageError } from '../errors.ts';
import { checkOneOrAll, ONE_OR_ALL_OPTIONS } from '../space-option.ts';

/** Spaces that one run drains; the next run takes the others. */
const SPACES_MAX = 100_000;
/** Milliseconds for events; the next run continues. */
const EVENTS_MS_MAX = 600_000;

export const drainCommand = defineCommand({
  name: 'drain',
  description: 'Commit what waits in the logs, straight from Redis to the database',
  args: {
    ...ONE_OR_ALL_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['drain', 'drain --space plaza'],
  async run({ space, tenant }, context) {
    checkOneOrAll({ space, tenant });
    const config = readConfig(context);
    const tenantId = tenant ?? config.defaultTenantId;
    return drainWith(config, space === undefined ? null : { tenantId, spaceId: space }, context);
  },
});

/** @throws UsageError */
export function readConfig(context: Context): Config {
  try {
    return parseConfig(readStoresEnv(context));
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured')
      throw new UsageError(error.message, { showUsage: false });
    throw error;
  }
}

/** @param space null: all that have something to drain. */
export async function drainWith(
  { database, redis, limits }: Config,
  space: LogAddress | null,
  context: Context,
): Promise<Outcome> {
  if (database === null || redis === null)
    throw new UsageError(
      `${database === null ? 'DATABASE_URL (and PERSISTENCE_ENABLED, if it is off)' : 'UPSTASH_REDIS_REST_URL, REDIS_URL or REDIS_HOST'} must be set: logs are drained from Redis to the database`,
      { showUsage: false },
    );
  // Loaded here: no other command needs both stores.
  const [{ openPg }, { createDrainStore }, { openUpstash }, { openTcpRedis }] = await Promise.all([
    import('../../postgres/pg.ts'),
    import('../../postgres/drain-store.ts'),
    import('../../redis/upstash.ts'),
    import('../../redis/tcp.ts'),
  ]);
  const [{ createLogStore }, { KnownLogs }, { createFindCursor }, { Drain }] = await Promise.all([
    import('../../redis/log.ts'),
    import('../../redis/known-logs.ts'),
    import('../../log/find-cursor.ts'),
    import('../../log/drain.ts'),
  ]);
  const [{ EventLog }, { createEventTable }, { createEventLogStore }] = await Promise.all([
    import('../../events/event-log.ts'),
    import('../../postgres/event-table.ts'),
    import('../../redis/event-log.ts'),
  ]);
  const postgres = openPg({ databaseUrl: database.url, poolSizeMax: 1, timeoutMs: database.timeoutMs });
  const client = redis.kind === 'upstash' ? openUpstash(redis) : openTcpRedis(redis);
  try {
    const store = createDrainStore(postgres);
    const findCursor = createFindCursor(store, { now: Date.now, pause });
    const log = createLogStore(client, {}, new KnownLogs(client, { findCursor }));
    if (space !== null && (await store.loadCursor(space)) === null)
      throw new CommandError('not_found', `there is no space ${space.spaceId} of tenant ${space.tenantId}`);
    const drain = new Drain(log, store, {
      now: Date.now,
      pause,
      // The user sees the remaining spaces, and can run it again.
      publishDrain: null,
      retention: {
        resultsSeconds: limits.idempotencyTtlSeconds,
        deadLetterDays: limits.deadLetterRetentionDays,
      },
      onEvent({ event, address, count }) {
        if (event === 'dead_letters' && address !== null)
          context.progress.note(`${address.tenantId} ${address.spaceId}: ${count} could not be kept`);
      },
    });
    const drained = await drainSpaces(drain, await listSpaces(log, space), context);
    if (space !== null) return describe(drained);
    const options = { now: Date.now, pause, createId: uuidv7 };
    const eventLog = new EventLog(createEventLogStore(client), createEventTable(postgres), options);
    const { stored, failure } = await eventLog.drain({ budgetMs: EVENTS_MS_MAX }).then(
      ({ stored }) => ({ stored, failure: null }),
      (error: unknown) => {
        if (error instanceof AppError) return { stored: 0, failure: error.message };
        throw error;
      },
    );
    return describe({ ...drained, events: stored, ...(failure !== null && { eventsLeft: failure }) });
  } finally {
    await Promise.all([postgres.close(), client.close()]);
  }
}

async function listSpaces(log: LogStore, space: LogAddress | null): Promise<LogAddress[]> {
  return space === null ? log.listDirty(SPACES_MAX) : [space];
}

/** @param drained `eventsLeft`: why events are left */
function describe(drained: DrainedSpaces & { events?: number; eventsLeft?: string }): Outcome {
  const { spaces, operations, left, eventsLeft } = drained;
  const events = drained.events ? ` and ${countOf(drained.events, 'event')}` : '';
  const done = `drained ${countOf(operations, 'operation')} of ${countOf(spaces, 'space')}${events}`;
  return {
    document: drained,
    text: [
      done,
      ...(left.length === 0 ? [] : [`something is left in ${countOf(left.length, 'space')}`]),
      ...(eventsLeft === undefined ? [] : [`events are left: ${eventsLeft}`]),
    ].join('; '),
    failed: left.length > 0 || eventsLeft !== undefined,
  };
}
