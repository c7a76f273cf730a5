import { MIGRATIONS } from '../drizzle/migrate.ts';
import { ApiKeys } from '../src/access/api-keys.ts';
import { DirectLog } from '../src/log/direct-log.ts';
import { PersistenceLayer, type PersistenceOptions, type WorldStore } from '../src/persistence-layer.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { openPg } from '../src/postgres/pg.ts';
import { openPglite } from '../src/postgres/pglite.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import type { WorldObject } from '../src/world/types.ts';
import { stack, uniqueName } from './support.ts';

/** Both ways to Postgres, as the runtime role. */
export const DRIVERS = { 'Neon over HTTP': openTestNeon, 'pg over TCP': openTestPg };

/** The same, and the Postgres of worlds in memory. */
export const DATABASES = { ...DRIVERS, 'PGlite in memory': openTestMemory };

const TIMEOUT_MS = 20_000;

export function openTestNeon(onTransaction?: (statements: number) => void): Postgres {
  const { databaseUrl, databaseHttpUrl } = stack();
  return openNeon({ databaseUrl, fetchEndpoint: databaseHttpUrl, timeoutMs: TIMEOUT_MS, onTransaction });
}

export function openTestPg(): Postgres {
  return openPg({ databaseUrl: stack().databaseUrl, poolSizeMax: 2, timeoutMs: TIMEOUT_MS });
}

let memory: Postgres | undefined;

/** One for all files of this process, because it takes long to open. It ends with the process. */
export function openTestMemory(): Postgres {
  memory ??= openPglite({ findMigrations: async () => MIGRATIONS });
  return { ...memory, close: async () => undefined };
}

/** A layer without a Redis: Postgres gives the order and applies. */
export function openLayer(
  postgres: Postgres,
  options: PersistenceOptions,
  store: WorldStore = createWorldStore(postgres),
): PersistenceLayer {
  return new PersistenceLayer(store, new DirectLog(createDrainStore(postgres), Date.now), options);
}

/** A new tenant for one test, with one space, and a layer for it. */
export async function makeWorld(postgres: Postgres): Promise<{
  layer: PersistenceLayer;
  tenantId: string;
  spaceId: string;
}> {
  const tenantId = uniqueName('t');
  const spaceId = 'main';
  const layer = openLayer(postgres, { tenantId, spaceId, actor: 'tester' });
  await layer.connect();
  return { layer, tenantId, spaceId };
}

export function makeApiKeys(postgres: Postgres, now: () => number = Date.now, cacheMs = 0): ApiKeys {
  return new ApiKeys(createApiKeyStore(postgres), { now, cacheMs });
}

/** The same connection to Postgres, with a hook before or after each transaction. Transactions count from 1. */
export function withHooks(
  postgres: Postgres,
  hooks: { before?: (transaction: number) => void; after?: (transaction: number) => Promise<void> },
): Postgres {
  let transactions = 0;
  return {
    ...postgres,
    async inTenant(tenantId, build, mode) {
      const transaction = ++transactions;
      hooks.before?.(transaction);
      const results = await postgres.inTenant(tenantId, build, mode);
      await hooks.after?.(transaction);
      return results;
    },
  };
}

/** Objects with numbers that no short decimal can express. */
export function makeObjects(count: number, seed = 0) {
  return Array.from({ length: count }, (_, i) => ({
    id: `object-${String(i).padStart(6, '0')}`,
    name: `Object ${i}`,
    parentId: i === 0 ? null : `object-${String(i >> 1).padStart(6, '0')}`,
    position: { x: Math.sin(i + seed) * 1e3, y: i / 7, z: 0 - i * 1e-9 },
    rotation: { x: 0, y: Math.sin(i / 2), z: 0, w: Math.cos(i / 2) },
    scale: { x: 1, y: 1 / 3, z: 1e-300 },
    properties: { index: i, tags: ['a', { deep: [null, true, 'ü𝄞'] }] },
  }));
}

/** Picks the members of an object that a caller can set. */
export function pickGiven({
  id,
  name,
  modelId,
  parentId,
  position,
  rotation,
  scale,
  properties,
}: WorldObject) {
  return { id, name, modelId, parentId, position, rotation, scale, properties };
}
