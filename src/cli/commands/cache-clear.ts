import { parseRedisConfig, type RedisConfig } from '../../config.ts';
import { countOf, showCount } from '../../helpers/counts.ts';
import type { ClearedCopies } from '../../redis/clear-copies.ts';
import { AppError } from '../../world/errors.ts';
import { type Context, defineCommand, JSON_OPTION, type Outcome } from '../command.ts';
import { readStoresEnv } from '../deployment.ts';
import { CommandError, UsageError } from '../errors.ts';
import { checkOneOrAll, ONE_OR_ALL_OPTIONS } from '../space-option.ts';

/** Keys between two lines of progress. */
const PROGRESS_KEYS = 10_000;

export const cacheClearCommand = defineCommand({
  name: 'cache clear',
  description: 'Remove from Redis what is only a copy; nothing that was written is touched',
  args: {
    ...ONE_OR_ALL_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['cache clear', 'cache clear --space plaza'],
  async run({ space, tenant }, context) {
    checkOneOrAll({ space, tenant });
    const { redis, defaultTenantId } = readConfig(context);
    const tenantId = tenant ?? defaultTenantId;
    return clearWith(redis, space === undefined ? null : { tenantId, spaceId: space }, context);
  },
});

/** @throws UsageError */
function readConfig(context: Context): ReturnType<typeof parseRedisConfig> {
  try {
    return parseRedisConfig(readStoresEnv(context));
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured')
      throw new UsageError(error.message, { showUsage: false });
    throw error;
  }
}

async function clearWith(
  redis: RedisConfig,
  space: { tenantId: string; spaceId: string } | null,
  { progress, signal }: Context,
): Promise<Outcome> {
  // Loaded here: no other command needs them.
  const [{ openUpstash }, { openTcpRedis }, { clearCopies }] = await Promise.all([
    import('../../redis/upstash.ts'),
    import('../../redis/tcp.ts'),
    import('../../redis/clear-copies.ts'),
  ]);
  const client = redis.kind === 'upstash' ? openUpstash(redis) : openTcpRedis(redis);
  try {
    const keys = await client.command('DBSIZE');
    const cleared = await clearCopies(client, {
      space,
      signal,
      onProgress(removed, scanned) {
        if (scanned % PROGRESS_KEYS !== 0 || typeof keys !== 'number') return;
        const about = `about ${showCount(Math.min(scanned, keys))} of ${countOf(keys, 'key')} looked at`;
        progress.note(`${about}, ${showCount(sum(removed))} removed`);
      },
    });
    if (signal.aborted) throw new CommandError('interrupted', `interrupted; ${describe(cleared)}`);
    return { document: cleared, text: describe(cleared) };
  } finally {
    await client.close();
  }
}

function sum({ values, worldStates, snapshots }: ClearedCopies): number {
  return values + worldStates + snapshots;
}

function describe({ values, worldStates, snapshots }: ClearedCopies): string {
  return `removed ${countOf(values, 'cached value')}, ${countOf(worldStates, 'world state')} and ${countOf(snapshots, 'snapshot key')}`;
}
