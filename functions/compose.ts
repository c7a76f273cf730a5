import { ApiKeys } from '../src/api-keys.ts';
import {
  type Config,
  type DatabaseConfig,
  type Env,
  misconfigured,
  parseConfig,
  type RedisConfig,
} from '../src/config.ts';
import { PersistenceLayer } from '../src/persistence-layer.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createSessionStore } from '../src/postgres/session-store.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { Sessions } from '../src/sessions.ts';
import type { Services } from './http/context.ts';

/** How a runtime reaches its stores. Each is called once. @throws misconfigured for a store it cannot reach. */
export interface StoreOpeners {
  openPostgres(database: DatabaseConfig): Postgres;
  openRedis(redis: RedisConfig): RedisClient;
}

export interface Composition extends Services {
  /** Lets go of what is held open: nothing over HTTP, connections over TCP. To be called once, after the last request. */
  close(): Promise<void>;
}

/**
 * From the environment to the classes: the one place that knows both the stores and those who use them. It is the same
 * for every runtime but for the openers, which compose-worker.ts and compose-node.ts give it.
 * @throws misconfigured for what the configuration contradicts, or asks of this version and it cannot give.
 */
export function compose(env: Env, { openPostgres, openRedis }: StoreOpeners): Composition {
  const config = parseConfig(env);
  refuseUnserved(config);
  if (config.database === null) throw misconfigured('DATABASE_URL', 'must be set.');
  const postgres = openPostgres(config.database);
  const redis = config.redis === null ? null : openRedis(config.redis);
  const now = () => Date.now();
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
    sessions: new Sessions(createSessionStore(postgres), {
      now,
      cacheMs: config.limits.apiKeyCacheSeconds * 1_000,
      keys: config.sessionSigning,
    }),
    pingCache: redis === null ? null : () => redis.ping(),
    now,
    async close() {
      await Promise.all([postgres.close(), redis?.close()]);
    },
  };
}

/** What can be asked for and is not served yet is refused: passed over, it would be a promise broken in silence. */
function refuseUnserved(config: Config): void {
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
}
