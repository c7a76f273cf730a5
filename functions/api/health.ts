import { LRUCache } from 'lru-cache';
import type { TenantCounts } from '../../src/persistence-layer.ts';
import { AppError, isAway } from '../../src/world/errors.ts';
import { identify } from '../http/auth.ts';
import type { AppContext, Services } from '../http/context.ts';
import { lateStore, within, withinOrNull } from '../http/deadline.ts';
import { readQuery } from '../http/query.ts';
import { checkRight } from '../http/roles.ts';
import type { Health } from './health-types.ts';

const TENANTS_CACHED_MAX = 100;

/** GET /livez */
export function getLivez(c: AppContext): Response {
  readQuery(c, []);
  return c.json({ status: 'ok' });
}

/** GET /readyz. Names the variable and the cause of a store that refuses, as far as they are known. */
export async function getReadyz(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { database, cache } = await probe(c.get('services'));
  const errors = Object.entries({ database, cache }).flatMap(([name, message]) =>
    typeof message === 'string' ? [{ path: `/persistence/${name}`, message }] : [],
  );
  const awaySince = readAwaySince(c.get('services'), { database, cache });
  if (errors.length === 0)
    return c.json({ status: 'ready', persistence: { database: true, cache: cache === true } });
  const detail = errors.map(({ message }) => message).join(' ');
  const since = Object.entries(awaySince).flatMap(([name, at]) =>
    at === null ? [] : [`${name} since ${at}`],
  );
  throw new AppError('store_unavailable', `${detail} Away: ${since.join(', ')}.`, { errors });
}

/**
 * GET /health. It counts for the caller's tenant, or for the default tenant without a key. An answer is repeated for a few seconds,
 * because anyone may ask and the database must not be slowed down.
 */
export async function getHealth(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const services = c.get('services');
  const { config, now } = services;
  const answers = answersOf.get(services) ?? new LRUCache({ max: TENANTS_CACHED_MAX });
  answersOf.set(services, answers);
  const tenantId = await readTenant(c);
  if (tenantId === null) return answerHealth(c, await examine(services, null));
  const known = answers.get(tenantId);
  if (known !== undefined && now() - known.atMs < config.limits.healthCacheSeconds * 1_000)
    return answerHealth(c, known.health);
  const health = await examine(services, tenantId);
  answers.set(tenantId, { atMs: now(), health });
  return answerHealth(c, health);
}

const answersOf = new WeakMap<Services, LRUCache<string, { atMs: number; health: Health }>>();

/** The tenant whose worlds are counted; null while the database is away and it cannot be known whose the key is. */
async function readTenant(c: AppContext): Promise<string | null> {
  const { config } = c.get('services');
  try {
    const principal = await within(config.limits.readyzTimeoutMs, identify(c));
    if (principal === null) return config.defaultTenantId;
    checkRight(principal, ['read'], c);
    return principal.tenantId;
  } catch (error) {
    if (error instanceof AppError && error.code === 'store_unavailable') return null;
    throw error;
  }
}

async function examine(services: Services, tenantId: string | null): Promise<Health> {
  const { config, persistence, spaceLog } = services;
  const { readyzTimeoutMs } = config.limits;
  const [probed, stats, fault, counts] = await Promise.all([
    probe(services),
    spaceLog && withinOrNull(readyzTimeoutMs, spaceLog.readStats(tenantId ?? config.defaultTenantId)),
    spaceLog && withinOrNull(readyzTimeoutMs, spaceLog.findFault()),
    tenantId === null
      ? null
      : withinOrNull(config.limits.readyzTimeoutMs, persistence.forTenant(tenantId, null).countTenant()),
  ]);
  const { users, objects, models }: Record<keyof TenantCounts, number | null> = counts ?? {
    users: null,
    objects: null,
    models: null,
  };
  const database = probed.database === true;
  const cache = probed.cache === null ? null : probed.cache === true;
  return {
    status: !database ? 'down' : cache === false || fault ? 'degraded' : 'ok',
    persistence: { database, cache: cache ?? false },
    awaySince: readAwaySince(services, probed),
    worldState: { users, objects, models },
    batchProcessor: {
      processed: stats?.processed ?? 0,
      queued: stats?.queued ?? 0,
      averageLatency: stats?.averageLatencyMs ?? 0,
      noEffect: stats?.noEffect ?? 0,
    },
    durabilityLagMs: stats?.durabilityLagMs ?? 0,
    log: spaceLog === null ? 'none' : cache === false ? 'away' : (fault ?? 'ok'),
  };
}

/** Asks both stores together. @returns true for a store that serves, else why not. `cache` is null without a Redis. */
async function probe(services: Services): Promise<Probed> {
  const { persistence, pingCache, config } = services;
  const timeoutMs = config.limits.readyzTimeoutMs;
  const ask = async (store: string, ping: Promise<void>): Promise<true | string> => {
    try {
      await within(timeoutMs, ping, () => lateStore(store, timeoutMs));
      return true;
    } catch (error) {
      if (isAway(error)) return error.message;
      throw error;
    }
  };
  const [database, cache] = await Promise.all([
    ask('Postgres', persistence.ping()),
    pingCache === null ? null : ask('Redis', pingCache()),
  ]);
  return { database, cache };
}

interface Probed {
  database: true | string;
  cache: true | string | null;
}

/** When a probe first found each store away. A process without other requests knows it only from its probes. */
const probedAwayMs = new WeakMap<Services, { database: number | null; cache: number | null }>();

/** Since when each store is away: since calls to it are refused, or since a probe first failed. */
export function readAwaySince(services: Services, probed: Probed): Health['awaySince'] {
  const first = probedAwayMs.get(services) ?? { database: null, cache: null };
  probedAwayMs.set(services, first);
  const known = services.readAwaySince();
  const read = (store: 'database' | 'cache'): string | null => {
    if (typeof probed[store] !== 'string') {
      first[store] = null;
      return null;
    }
    first[store] ??= services.now();
    return new Date(Math.min(first[store], known[store] ?? first[store])).toISOString();
  };
  return { database: read('database'), cache: read('cache') };
}

function answerHealth(c: AppContext, health: Health): Response {
  return c.json(
    health,
    health.status === 'down' ? 503 : 200,
    health.status === 'down' ? { 'Retry-After': '2' } : {},
  );
}
