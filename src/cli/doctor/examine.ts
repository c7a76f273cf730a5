import { readTrustedProxies } from '../../config/proxies.ts';
import { type Config, type Env, parseConfig, type RedisConfig } from '../../config.ts';
import { readFacts } from '../../postgres/errors.ts';
import { explainRefusal } from '../../postgres/refusals.ts';
import { AppError } from '../../world/errors.ts';
import { type Connection, resolveConnection } from '../connection.ts';
import { namesLocalStack, readQueueEnv, readStoresEnv } from '../deployment.ts';
import { systemCode, UsageError } from '../errors.ts';
import { examineApi } from './api.ts';
import { type Finding, ok, unknown, wrong } from './finding.ts';
import { readJournal } from './journal.ts';
import { judgeBacklog, judgeLogRecords } from './log.ts';
import { judgeDatabase } from './postgres.ts';
import { examineQueue } from './queue.ts';
import { judgeRedis } from './redis.ts';

const TIMEOUT_MS = 5_000;
/** Spaces with something to drain that are looked at. */
const SPACES_MAX = 100_000;

interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** Looks at everything that the environment names, else at what the local stack has written down. Nothing is changed. */
export async function examine(around: Surroundings): Promise<Finding[]> {
  const env = readStoresEnv(around);
  const { config, finding } = examineConfig(env);
  const connection = readConnection(around);
  const tenantId = readTenant(connection) ?? config?.defaultTenantId ?? 'default';
  // The queue of the local stack belongs to its stores, and to no others.
  const isLocal = env !== around.env || namesLocalStack(around);
  const queueEnv = isLocal ? { ...env, ...readQueueEnv(around) } : env;
  const findings = await Promise.all([
    connection instanceof UsageError ? [explainUsage(connection)] : examineApi(connection, TIMEOUT_MS),
    examinePostgres(env.DATABASE_URL, tenantId),
    examineRedis(config?.redis ?? null),
    config === null || config.redis === null ? [] : examineQueue(queueEnv),
  ]);
  return [finding, ...findings.flat()];
}

function examineConfig(env: Env): { config: Config | null; finding: Finding } {
  try {
    readTrustedProxies(env);
    return { config: parseConfig(env), finding: ok('config', 'the configuration has no contradictions') };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const remedy = 'Change the variable that the sentence names; .env.example says what each does.';
    return { config: null, finding: wrong('config', error.message, remedy) };
  }
}

function readConnection(around: Surroundings): Connection | UsageError {
  try {
    return resolveConnection(around);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
}

function explainUsage({ message }: UsageError): Finding {
  return unknown('api', `the API was not asked: ${message}`, 'Set WORLDKEEP_URL and WORLDKEEP_API_KEY.');
}

/** Whose key it is. */
function readTenant(connection: Connection | UsageError): string | null {
  if (connection instanceof UsageError) return null;
  return /^wk_(.+)_[\w-]{43}$/.exec(connection.apiKey)?.[1] ?? null;
}

async function examinePostgres(databaseUrl: string | undefined, tenantId: string): Promise<Finding[]> {
  if (!databaseUrl)
    return [unknown('postgres', 'Postgres was not asked: DATABASE_URL is not set', 'Set DATABASE_URL.')];
  // Loaded here: no other command needs it.
  const { inspectDatabase } = await import('../../postgres/inspect.ts');
  try {
    const [facts, journal] = await Promise.all([
      inspectDatabase(databaseUrl, { timeoutMs: TIMEOUT_MS, tenantId }),
      readJournal(),
    ]);
    return [
      ok('postgres', 'Postgres answers over TCP'),
      ...judgeDatabase(facts, journal),
      ...(facts.logRecords === null ? [] : judgeLogRecords(facts.logRecords, tenantId)),
    ];
  } catch (error) {
    return [explainDatabase(error)];
  }
}

/** The driver's words are left out: they may hold what was sent. */
function explainDatabase(error: unknown): Finding {
  const refusal = explainRefusal(readFacts(error));
  if (refusal !== null) return wrong('postgres', refusal.cause, refusal.remedy);
  return wrong(
    'postgres',
    `Postgres does not answer over TCP (${systemCode(error) ?? 'no answer'})`,
    'Check the host and port in DATABASE_URL, that the server runs, and that this machine may reach it.',
  );
}

const REDIS_REMEDY = {
  upstash: 'Check UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, and that the database is not paused.',
  tcp: 'Check REDIS_URL, or REDIS_HOST, REDIS_PORT and REDIS_PASSWORD, and that the server runs.',
};

async function examineRedis(config: RedisConfig | null): Promise<Finding[]> {
  if (config === null)
    return [
      unknown(
        'redis',
        'Redis was not asked: none is configured',
        'Set UPSTASH_REDIS_REST_URL and _TOKEN, REDIS_URL or REDIS_HOST.',
      ),
    ];
  const [{ openUpstash }, { openTcpRedis }, { inspectRedis }, { createLogStore }] = await Promise.all([
    import('../../redis/upstash.ts'),
    import('../../redis/tcp.ts'),
    import('../../redis/inspect.ts'),
    import('../../redis/log.ts'),
  ]);
  const redis = config.kind === 'upstash' ? openUpstash(config) : openTcpRedis(config);
  const way = config.kind === 'upstash' ? 'over HTTP' : 'over TCP';
  try {
    const facts = await inspectRedis(redis);
    const dirty = await createLogStore(redis).listDirty(SPACES_MAX);
    return [
      ok('redis', `Redis answers ${way}`),
      ...judgeRedis(facts, config.kind),
      judgeBacklog(dirty, Date.now() + facts.clockDifferenceMs),
    ];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [wrong('redis', `Redis does not serve ${way}: ${error.message}`, REDIS_REMEDY[config.kind])];
  } finally {
    await redis.close();
  }
}
