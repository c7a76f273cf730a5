import { type Config, type Env, parseConfig, type RedisConfig } from '../../config.ts';
import { toAppError } from '../../postgres/errors.ts';
import { AppError } from '../../world/errors.ts';
import { type Connection, readDevMembers, resolveConnection } from '../connection.ts';
import { systemCode, UsageError } from '../errors.ts';
import { examineApi } from './api.ts';
import { type Finding, ok, unknown, wrong } from './finding.ts';
import { readJournal } from './journal.ts';
import { judgeDatabase } from './postgres.ts';
import { judgeRedis } from './redis.ts';

const TIMEOUT_MS = 5_000;

interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** Looks at everything that the environment names, else at what the local stack has written down. Nothing is changed. */
export async function examine(around: Surroundings): Promise<Finding[]> {
  const env = readEnv(around);
  const { config, finding } = examineConfig(env);
  const [api, postgres, redis] = await Promise.all([
    examineConnection(around),
    examinePostgres(env.DATABASE_URL),
    examineRedis(config?.redis ?? null),
  ]);
  return [finding, ...api, ...postgres, ...redis];
}

/** The environment's own stores, if it names any; else the local stack's. */
function readEnv({ env, cwd }: Surroundings): Env {
  const names = ['DATABASE_URL', 'REDIS_HOST', 'UPSTASH_REDIS_REST_URL'] as const;
  if (names.some((name) => env[name])) return env;
  const dev = readDevMembers(cwd);
  if (dev === null) return env;
  const text = (name: string) => (typeof dev[name] === 'string' ? dev[name] : undefined);
  return {
    ...env,
    DATABASE_URL: text('databaseUrl'),
    DATABASE_HTTP_URL: text('databaseHttpUrl'),
    UPSTASH_REDIS_REST_URL: text('redisRestUrl'),
    UPSTASH_REDIS_REST_TOKEN: text('redisRestToken'),
  };
}

function examineConfig(env: Env): { config: Config | null; finding: Finding } {
  try {
    return { config: parseConfig(env), finding: ok('config', 'the configuration has no contradictions') };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const remedy = 'Change the variable that the sentence names; .env.example says what each does.';
    return { config: null, finding: wrong('config', error.message, remedy) };
  }
}

async function examineConnection(around: Surroundings): Promise<Finding[]> {
  let connection: Connection;
  try {
    connection = resolveConnection(around);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [
      unknown('api', `the API was not asked: ${error.message}`, 'Set WORLDKEEP_URL and WORLDKEEP_API_KEY.'),
    ];
  }
  return examineApi(connection, TIMEOUT_MS);
}

async function examinePostgres(databaseUrl: string | undefined): Promise<Finding[]> {
  if (!databaseUrl)
    return [unknown('postgres', 'Postgres was not asked: DATABASE_URL is not set', 'Set DATABASE_URL.')];
  // Loaded here: no other command needs it.
  const { inspectDatabase } = await import('../../postgres/inspect.ts');
  try {
    const [facts, journal] = await Promise.all([inspectDatabase(databaseUrl, TIMEOUT_MS), readJournal()]);
    return [ok('postgres', 'Postgres answers over TCP'), ...judgeDatabase(facts, journal)];
  } catch (error) {
    return [explainDatabase(error)];
  }
}

/** The driver's words are left out: they may hold what was sent. */
function explainDatabase(error: unknown): Finding {
  const code = systemCode(error) ?? 'no answer';
  if (toAppError(error).code === 'misconfigured' || /^(28|3D)/.test(code))
    return wrong(
      'postgres',
      `Postgres refuses the address in DATABASE_URL (${code})`,
      'Check its role, password and database; npm run db:migrate lets worldkeep_app log in with the password in DATABASE_URL.',
    );
  return wrong(
    'postgres',
    `Postgres does not answer over TCP (${code})`,
    'Check the host and port in DATABASE_URL, that the server runs, and that this machine may reach it.',
  );
}

async function examineRedis(config: RedisConfig | null): Promise<Finding[]> {
  if (config === null)
    return [
      unknown(
        'redis',
        'Redis was not asked: none is configured',
        'Set UPSTASH_REDIS_REST_URL and _TOKEN, or REDIS_HOST.',
      ),
    ];
  const [{ openUpstash }, { openTcpRedis }, { inspectRedis }] = await Promise.all([
    import('../../redis/upstash.ts'),
    import('../../redis/tcp.ts'),
    import('../../redis/inspect.ts'),
  ]);
  const redis = config.kind === 'upstash' ? openUpstash(config) : openTcpRedis(config);
  const way = config.kind === 'upstash' ? 'over HTTP' : 'over TCP';
  try {
    const facts = await inspectRedis(redis);
    return [ok('redis', `Redis answers ${way}`), ...judgeRedis(facts, config.kind)];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [
      wrong(
        'redis',
        `Redis does not answer ${way}: ${error.message}`,
        config.kind === 'upstash'
          ? 'Check UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, and that the database is not paused.'
          : 'Check REDIS_HOST, REDIS_PORT and REDIS_PASSWORD, and that the server runs.',
      ),
    ];
  } finally {
    await redis.close();
  }
}
