import { randomBytes } from 'node:crypto';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeWorld, openLayer, openTestNeon } from '../../test/layers.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { isInRegion } from '../world/region.ts';
import { createApiKeyStore } from './api-key-store.ts';
import type { Database, Postgres } from './client.ts';
import { createDrainStore } from './drain-store.ts';
import { createSpilledStore } from './metrics-store.ts';
import { readReport } from './operations/read-report.ts';
import { createSessionStore } from './session-store.ts';
import { createWorldStore } from './world-store.ts';

/** A table that was read from end to end, and the query (of a function, perhaps) that did. */
interface Scan {
  table: string;
  by: string;
}

/**
 * A connection that notes every plan that EXPLAIN shows. It also notes the tables that each transaction read completely, and the rows of
 * objects that each transaction fetched by an index.
 */
function openWatched(client: pg.Client, settings: string[] = []) {
  const scanned: Scan[] = [];
  const plans: string[] = [];
  const rowsRead: number[] = [];
  const inTenant = async (tenantId: string, build: (db: Database) => readonly PromiseLike<unknown>[]) => {
    const seen = new Set<string>();
    await client.query('begin');
    try {
      await client.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
      for (const setting of settings) await client.query(`set local ${setting}`);
      const results: unknown[] = [];
      for (const query of build(drizzle({ client }) as unknown as Database)) {
        const { sql, params } = (query as unknown as { toSQL(): { sql: string; params: unknown[] } }).toSQL();
        const plan = await client.query<{ 'QUERY PLAN': string }>(`explain ${sql}`, params);
        plans.push(plan.rows.map((row) => row['QUERY PLAN']).join('\n'));
        results.push(await query);
        const { rows } = await client.query<{ table: string }>(
          'select relname as table from pg_stat_xact_user_tables where seq_scan > 0',
        );
        for (const { table } of rows) if (!seen.has(table)) scanned.push({ table, by: sql });
        for (const { table } of rows) seen.add(table);
      }
      const { rows } = await client.query<{ n: number }>(
        "select idx_tup_fetch::int as n from pg_stat_xact_user_tables where relname = 'world_objects'",
      );
      rowsRead.push(rows[0]?.n ?? 0);
      await client.query('commit');
      // Postgres keeps counts until it reports them. Reporting them now makes the next transaction begin at zero.
      await client.query('select pg_stat_force_next_flush()');
      return results;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  };
  const postgres = {
    inTenant,
    ping: async () => undefined,
    close: async () => undefined,
  } as unknown as Postgres;
  return { postgres, scanned, plans, rowsRead };
}

/** Every operation there is, once. */
async function useEverything(postgres: Postgres, tenantId: string, spaceId: string): Promise<void> {
  const layer = openLayer(postgres, { tenantId, spaceId, actor: 'planner' });
  await layer.putSpace(spaceId, { name: 'Again' });
  await layer.getSpace(spaceId);
  await layer.listSpaces();
  await layer.saveObject({ id: 'planned' });
  await layer.updateObject('planned', { properties: { a: 1 } });
  await layer.getObject('planned');
  await layer.listObjects({ limit: 10 });
  await layer.deleteObject('planned');
  await layer.saveWorldState({ objects: [{ id: 'o00001' }] }, { mode: 'merge' });
  const moved = [{ kind: 'object', id: 'o00002' }, { kind: 'gone', id: 'o00003' }, { kind: 'end' }];
  await layer.saveWorldStream(ReadableStream.from(moved), { mode: 'merge' });
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  await layer.getUser('ann');
  await layer.listUsers({ search: 'an', limit: 10 });
  const guest = layer.forTenant(tenantId, 'ann', { withinSpace: true });
  await guest.putUser({ id: 'ann', displayName: 'Anna' });
  await guest.putSpace(spaceId, { name: 'Again' });
  const sessions = createSessionStore(postgres);
  const stay = { tenantId, id: uniqueName('stay'), spaceId, userId: 'ann', role: null };
  const [createdAt, expiresAt] = ['2026-01-01T00:00:00Z', '2100-01-01T00:00:00Z'];
  await sessions.mintSession({ ...stay, createdAt, expiresAt });
  await sessions.findSession(tenantId, stay.id);
  await sessions.touchSession(tenantId, stay.id, createdAt);
  await sessions.listSpacesOf(tenantId, 'ann', createdAt, 10);
  await sessions.endSession(tenantId, stay.id, createdAt);
  await layer.getStateVersion();
  await layer.putSpace('other', { name: 'Other' });
  await layer.deleteSpace('other');
  await layer.putSpace('other', { name: 'Other' });
  const keys = createApiKeyStore(postgres);
  const [id, secretSha256] = [uniqueName('key'), randomBytes(32).toString('hex')];
  await keys.insertKey({ tenantId, id, secretSha256, scopes: ['read'], expiresAt: null });
  await keys.findKey(tenantId, secretSha256);
  await keys.listKeys(tenantId, 10, '');
  await keys.revokeKey(tenantId, id);
}

describe('plans', () => {
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  beforeAll(() => client.connect());
  afterAll(() => client.end());

  it('every operation has an index for every table it reads', async () => {
    const { tenantId, spaceId } = await makeWorld(openTestNeon());
    const { postgres, scanned } = openWatched(client, ['enable_seqscan = off']);
    await useEverything(postgres, tenantId, spaceId);
    await createWorldStore(postgres).loadWorld(tenantId, spaceId, {});
    const region = { near: { x: 0, y: 0, z: 0 }, radius: 10 };
    await createWorldStore(postgres).loadWorld(tenantId, spaceId, { region });
    await createWorldStore(postgres).loadStatistics(tenantId, spaceId);
    await createWorldStore(postgres).countTenant(tenantId);
    await createWorldStore(postgres).eraseUser(tenantId, 'ann');
    const drainStore = createDrainStore(postgres);
    for (const of of [
      { spaceId: null, before: '', limit: 10 },
      { spaceId, before: 'i', limit: 10 },
    ])
      await drainStore.listIncidents(tenantId, of);
    await createSpilledStore(postgres).countSpilled(tenantId);
    const span = { from: '2026-11-01', to: '2026-11-28' };
    for (const name of ['activity', 'spaces', 'models', 'retention'] as const)
      await readReport(postgres, tenantId, name, span, 10);
    expect(scanned).toEqual([]);
  });

  it('the planner takes it among many objects, with statistics and without', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(openTestNeon());
    await layer.putSpace('large', { name: 'Large' });
    const objects = Array.from({ length: 5_000 }, (_, i) => ({ id: `o${String(i).padStart(5, '0')}` }));
    await layer.saveWorldState({ objects }, { spaceId: 'large' });
    await layer.saveWorldState({ objects: objects.slice(0, 500) });
    const owner = new pg.Client({ connectionString: stack().migrationUrl });
    await owner.connect();
    for (const statistics of ['', 'analyze world_objects']) {
      if (statistics) await owner.query(statistics);
      const { postgres, scanned, plans } = openWatched(client);
      await useEverything(postgres, tenantId, spaceId);
      const paging = openWatched(client);
      const large = createWorldStore(paging.postgres);
      for (let i = 0; i < 8; i++) await large.listObjects(tenantId, 'large', 10, 'o01000');
      for (const rows of paging.rowsRead) expect(rows).toBeLessThan(50);
      expect(scanned.filter(({ table }) => table === 'world_objects')).toEqual([]);
      const ofObjects = plans.filter((plan) => / on world_objects/.test(plan));
      expect(ofObjects.length).toBeGreaterThan(2);
      for (const plan of ofObjects)
        expect(plan).toMatch(/Index (Only )?Scan (using|on) world_objects_\w+_pk/);
    }
    await owner.end();
  });

  it('[S5b] a region is read by the key, page by page, and gives what is in it, with statistics and without', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(openTestNeon());
    const objects = Array.from({ length: 5_000 }, (_, i) => ({
      id: `o${String(i).padStart(6, '0')}`,
      position: { x: (i % 70) * 10, y: 0, z: Math.floor(i / 70) * 10 },
    }));
    await layer.saveWorldState({ objects });
    const region = { near: { x: 350, y: 0, z: 350 }, radius: 40 };
    const expected = objects.filter(({ position }) => isInRegion(region, position)).map(({ id }) => id);
    expect(expected.length).toBeGreaterThan(30);
    const owner = new pg.Client({ connectionString: stack().migrationUrl });
    await owner.connect();
    for (const statistics of ['', 'analyze world_objects']) {
      if (statistics) await owner.query(statistics);
      const { postgres, scanned } = openWatched(client);
      const store = createWorldStore(postgres);
      // More often than a plan is made for each call: then one plan serves all.
      for (let i = 0; i < 8; i++) {
        const state = await store.loadWorld(tenantId, spaceId, { region });
        expect(state?.objects.map(({ id }) => id)).toEqual(expected);
      }
      expect(scanned.filter(({ table }) => table === 'world_objects')).toEqual([]);
    }
    await owner.end();
  });
});
