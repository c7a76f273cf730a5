import type { Env } from '../config.ts';
import { readDevMembers } from './connection.ts';

interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** Where one of these is set, nothing of the local stack is mixed with it. */
const STORES = ['DATABASE_URL', 'REDIS_URL', 'REDIS_HOST', 'UPSTASH_REDIS_REST_URL'] as const;

/** The variables of the stores that the environment names, if it names any; else of the local stack's. @throws UsageError */
export function readStoresEnv({ env, cwd }: Surroundings): Env {
  return readEnv({ env, cwd }, STORES, {
    DATABASE_URL: 'databaseUrl',
    DATABASE_HTTP_URL: 'databaseHttpUrl',
    UPSTASH_REDIS_REST_URL: 'redisRestUrl',
    UPSTASH_REDIS_REST_TOKEN: 'redisRestToken',
    DEFAULT_TENANT_ID: 'tenantId',
  });
}

/** The same of the queue, and of where it finds the functions. @throws UsageError */
export function readQueueEnv({ env, cwd }: Surroundings): Env {
  return readEnv({ env, cwd }, ['QSTASH_TOKEN', 'PUBLIC_URL'], {
    QSTASH_URL: 'qstashUrl',
    QSTASH_TOKEN: 'qstashToken',
    PUBLIC_URL: 'url',
  });
}

/** Whether the environment names the database of the local stack, as `.worldkeep/env` does. */
export function namesLocalStack({ env, cwd }: Surroundings): boolean {
  const databaseUrl = readDevMembers(cwd)?.databaseUrl;
  return databaseUrl !== undefined && env.DATABASE_URL === databaseUrl;
}

function readEnv(
  { env, cwd }: Surroundings,
  naming: readonly string[],
  members: Readonly<Record<string, string>>,
): Env {
  if (naming.some((name) => env[name])) return env;
  const dev = readDevMembers(cwd);
  if (dev === null) return env;
  const local = Object.entries(members).map(([variable, member]) => {
    const value = dev[member];
    return [variable, typeof value === 'string' ? value : undefined] as const;
  });
  return { ...env, ...Object.fromEntries(local) };
}
