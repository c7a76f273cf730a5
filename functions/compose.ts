import { ApiKeys } from '../src/api-keys.ts';
import { type Config, type Env, isLoopback, misconfigured, parseConfig } from '../src/config.ts';
import { PersistenceLayer } from '../src/persistence-layer.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import { openUpstash } from '../src/redis/upstash.ts';
import type { Services } from './http/context.ts';

/**
 * From the environment to the classes: the one place that knows both the stores and those who use them.
 * @throws misconfigured for what the configuration contradicts, or asks of this version and it cannot give.
 */
export function compose(env: Env): Services {
  const config = parseConfig(env);
  const { database, redis } = config;
  refuseUnserved(config);
  if (database === null) throw misconfigured('DATABASE_URL', 'must be set.');
  const postgres = openNeon({
    databaseUrl: database.url,
    fetchEndpoint: database.httpUrl ?? undefined,
    timeoutMs: database.timeoutMs,
  });
  const now = () => Date.now();
  const upstash = redis?.kind === 'upstash' ? openUpstash(redis) : null;
  return {
    config,
    persistence: new PersistenceLayer(createWorldStore(postgres), {
      tenantId: config.defaultTenantId,
      spaceId: config.defaultSpaceId,
    }),
    apiKeys: new ApiKeys(createApiKeyStore(postgres), {
      now,
      cacheMs: config.limits.apiKeyCacheSeconds * 1_000,
    }),
    pingCache: upstash === null ? null : () => upstash.ping(),
    now,
  };
}

/** What can be asked for and is not served yet is refused: passed over, it would be a promise broken in silence. */
function refuseUnserved({ database, redis, ...config }: Config): void {
  if (!config.persistenceEnabled)
    throw misconfigured(
      'PERSISTENCE_ENABLED',
      'cannot be off in this version: Postgres is where worlds are kept.',
    );
  if (config.memoryFallbackEnabled)
    throw misconfigured(
      'MEMORY_FALLBACK_ENABLED',
      'cannot be on in this version: no write is held in memory.',
    );
  if (config.auditTransforms)
    throw misconfigured('AUDIT_TRANSFORMS', 'cannot be on in this version: it has no audit.');
  if (redis?.kind === 'tcp')
    throw misconfigured(
      'REDIS_HOST',
      'cannot be reached by these functions, which speak HTTP: set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN instead.',
    );
  if (database !== null && database.httpUrl === null && isLoopback(new URL(database.url).hostname))
    throw misconfigured(
      'DATABASE_URL',
      'names this machine, which these functions reach over HTTP only: set DATABASE_HTTP_URL to where it answers SQL.',
    );
}
