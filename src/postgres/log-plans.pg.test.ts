import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestPg } from '../../test/layers.ts';
import { makeInput, makeLogSpace } from '../../test/log-space.ts';
import { stack } from '../../test/support.ts';
import type { Batch } from '../world/batch.ts';
import type { Database, Postgres } from './client.ts';
import { createDrainStore } from './drain-store.ts';

const OBJECTS = 20_000;
const ROWS = 50;

/** A way to Postgres that tells, of each transaction, what it read from end to end and the rows it fetched by an index. */
function openCounted(client: pg.Client) {
  const seen: { scanned: string[]; fetched: Record<string, number> }[] = [];
  const inTenant = async (tenantId: string, build: (db: Database) => readonly PromiseLike<unknown>[]) => {
    await client.query('begin');
    await client.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
    const results: unknown[] = [];
    for (const query of build(drizzle({ client }) as unknown as Database)) results.push(await query);
    const { rows } = await client.query<{ table: string; scans: number; fetched: number }>(
      'select relname as table, seq_scan::int as scans, coalesce(idx_tup_fetch, 0)::int as fetched from pg_stat_xact_user_tables',
    );
    seen.push({
      scanned: rows.filter(({ scans }) => scans > 0).map(({ table }) => table),
      fetched: Object.fromEntries(rows.map(({ table, fetched }) => [table, fetched])),
    });
    await client.query('commit');
    await client.query('select pg_stat_force_next_flush()');
    return results;
  };
  return { postgres: { inTenant } as unknown as Postgres, seen };
}

describe('[D2] a batch', () => {
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  const owner = new pg.Client({ connectionString: stack().migrationUrl });
  const direct = openTestPg();
  beforeAll(() => Promise.all([client.connect(), owner.connect()]));
  afterAll(() => Promise.all([client.end(), owner.end(), direct.close()]));

  it('finds each row by its key among many, with statistics and without', async () => {
    const space = await makeLogSpace(direct);
    const { address, store, world } = space;
    const ids = Array.from({ length: OBJECTS }, (_, i) => `o${i}`);
    const users = Array.from({ length: 2_000 }, (_, i) => ({
      id: `u${i}`,
      displayName: 'U',
      avatarUrl: null,
      properties: {},
      position: { x: 0, y: 0, z: 0 },
      rotation: { x: 0, y: 0, z: 0, w: 1 },
    }));
    const objects = ids.map((id) => ({ ...makeInput(id), createdBy: null, createdAt: null }));
    const staged = await store.stageWorld(
      { ...address, actor: null },
      { objects, users, models: [], media: [], chat: [] },
    );
    if (staged === 'unknown_space') throw new Error('the space is not there');
    const { incarnation, cursor: from } = space;
    const step = { incarnation, from, to: from + 1, stageId: staged.stageId, mode: 'replace' as const };
    await store.applyStage(address, { ...step, actor: null, waits: false, incidents: [] });
    space.cursor = step.to;
    await world.upsertUser(address.tenantId, {
      id: 'new',
      displayName: 'N',
      avatarUrl: null,
      properties: {},
    });

    for (const statistics of ['', 'analyze world_objects, space_members, users, spaces']) {
      if (statistics) await owner.query(statistics);
      const { postgres, seen } = openCounted(client);
      const counted = createDrainStore(postgres);
      // More often than a plan is made for each call: then one plan serves all.
      for (let round = 0; round < 8; round++) {
        const seq = space.cursor + 1;
        const some = (first: number) => ids.slice(first + round * ROWS, first + (round + 1) * ROWS);
        const patch = { kind: 'patch', seq, actor: 'ann' } as const;
        const batch: Batch = space.toBatch({
          objects: [
            ...some(0).map((id) => ({ ...patch, id, position: { x: round } })),
            ...some(2_000).map((id) => ({ ...patch, id, name: 'N', patches: [{ a: round }] })),
            ...[...some(4_000), `new${statistics.length}-${round}`].map((id, i) => ({
              kind: 'put' as const,
              id,
              seq,
              actor: null,
              object: makeInput(id),
              createdSeq: seq,
              createdBy: null,
              isNew: i % 2 === 0,
            })),
            ...some(6_000).map((id) => ({ kind: 'delete' as const, id, seq })),
          ],
          avatars: [
            { id: 'new', seq, position: { x: 1, y: 1, z: 1 } },
            { id: `u${round}`, seq, position: { x: 1, y: 1, z: 1 } },
          ],
          singles: [{ seq, index: 0, actor: null, op: { op: 'patch', id: 'o9000', name: 'S', ifSeq: 0 } }],
          written: some(2_000)
            .slice(0, 1)
            .map((id) => ({ seq, id })),
        });
        expect(await counted.applyBatch(address, batch)).toMatchObject({ status: 'applied', dead: [] });
        space.cursor = batch.to;
        await counted.loadSeqs(address, some(8_000));
        await counted.loadObjects(address, some(9_000));
        await counted.loadAvatars(address, ['u1']);
        await counted.readResults(address, seq, batch.to);
        expect(await counted.readWritten(address, seq)).toMatchObject({ object: { seq, name: 'N' } });
        await counted.loadCursor(address);
        await counted.listUncorrected(address, 10);
        await counted.markCorrected(address, ['none']);
        await counted.listDeadLetters(address.tenantId, 10, '');
      }
      expect(seen.length).toBe(80);
      // Tables of a few rows are read whole where that is least; of the large ones never.
      const large = ['world_objects', 'space_members', 'users'];
      for (const { scanned, fetched } of seen) {
        expect(scanned.filter((table) => large.includes(table))).toEqual([]);
        for (const table of large) expect(fetched[table] ?? 0, table).toBeLessThan(ROWS * 10);
      }
      expect(Math.max(...seen.map(({ fetched }) => fetched.world_objects ?? 0))).toBeGreaterThan(ROWS * 3);
    }
  });
});
