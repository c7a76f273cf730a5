import { type SQL, sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATABASES, DRIVERS, makeWorld, openTestNeon } from '../../test/layers.ts';
import { makeLogSpace, queryAs } from '../../test/log-space.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { LIMITS } from '../world/limits.ts';
import type { Database, Postgres } from './client.ts';
import { createSpilledStore } from './metrics-store.ts';

/** Writes many rows around the product. */
async function runAsOwner(statement: string, params: unknown[]): Promise<void> {
  const client = new pg.Client({
    connectionString: stack().superuserUrl.replace(/\/postgres$/, '/worldkeep'),
  });
  await client.connect();
  try {
    await client.query(statement, params);
  } finally {
    await client.end();
  }
}

async function addPeople(tenantId: string, count: number): Promise<void> {
  await runAsOwner(
    `insert into users (tenant_id, user_id, display_name)
     select $1, 'u' || lpad(n::text, 7, '0'), 'Person ' || n from generate_series(1, $2::int) as n`,
    [tenantId, count],
  );
}

/** The rows that one call of a function fetches from a table, none of them by reading the whole table. */
async function countRowsRead(
  postgres: Postgres,
  tenantId: string,
  table: string,
  call: SQL,
): Promise<number> {
  const count = (db: Database) =>
    db
      .select({ rows: sql<number>`idx_tup_fetch::integer`, scans: sql<number>`seq_scan::integer` })
      .from(sql`pg_stat_xact_user_tables where relname = ${table}`);
  const [[before], , [after]] = await postgres.inTenant(tenantId, (db) => [
    count(db),
    db.execute(sql`select * from ${call}`),
    count(db),
  ]);
  if (before === undefined || after === undefined) throw new Error('there are no statistics');
  expect(after.scans).toBe(before.scans);
  return after.rows - before.rows;
}

describe.each(Object.entries(DATABASES))('people and incidents: %s', (_, open) => {
  const postgres = open();
  afterAll(() => postgres.close());

  it('[P1] people are found by the beginning of their id or a part of their name, in their tenant only', async () => {
    const { layer } = await makeWorld(postgres);
    const others = await makeWorld(postgres);
    await others.layer.putUser({ id: 'zoe', displayName: 'Zoe of others' });
    for (const [id, displayName] of [
      ['zoe', 'Élodie'],
      ['abe', 'A "quoted" \\ name'],
      ['ann', '𝄞 Ann'],
    ] as const)
      await layer.putUser({ id, displayName, properties: { deep: [null, 'ü', 1.5] } });
    const find = async (search?: string) => (await layer.listUsers({ search })).items.map(({ id }) => id);
    expect(await find()).toEqual(['abe', 'ann', 'zoe']);
    expect(await find('z')).toEqual(['zoe']);
    expect(await find('Z')).toEqual([]);
    expect(await find('LODIE')).toEqual(['zoe']);
    expect(await find('"QUOTED" \\')).toEqual(['abe']);
    expect(await find('𝄞')).toEqual(['ann']);
    expect(await find('_')).toEqual([]);
    const [first] = (await layer.listUsers({ limit: 1 })).items;
    expect(first).toEqual(await layer.getUser('abe'));
  });

  it('[P2] incidents are newest first, also several of the same moment', async () => {
    const space = await makeLogSpace(postgres);
    await space.apply({ incidents: [1, 2, 3].map((n) => ({ kind: 'log_gap', detail: { n } })) });
    await space.apply({ incidents: [{ kind: 'redis_restarted', detail: {} }] });
    const list = (limit: number, before = '', spaceId: string | null = null) =>
      space.store.listIncidents(space.address.tenantId, { spaceId, before, limit });
    const all = await list(10);
    expect([all.more, all.incidents[0]?.kind, all.incidents.length]).toEqual([false, 'redis_restarted', 4]);
    const paged = [];
    for (let before = ''; ; ) {
      const { incidents, more } = await list(1, before, 'main');
      paged.push(...incidents);
      if (!more) break;
      before = incidents.at(-1)?.id ?? '';
    }
    expect(paged).toEqual(all.incidents);
    expect(await list(10, '', 'other')).toEqual({ incidents: [], more: false });
    expect(await list(10, uniqueName('gone'))).toEqual({ incidents: [], more: false });
  });

  it('[P4] the spilled requests of the tenant are counted', async () => {
    const { tenantId } = await makeWorld(postgres);
    expect(await createSpilledStore(postgres).countSpilled(tenantId)).toBe(0);
  });
});

describe.each(Object.entries(DRIVERS))('many people: %s', (_, open) => {
  const postgres = open();
  let tenantId: string;
  let layer: Awaited<ReturnType<typeof makeWorld>>['layer'];
  beforeAll(async () => {
    ({ tenantId, layer } = await makeWorld(postgres));
    await addPeople(tenantId, LIMITS.searchedPeopleMax + 100);
  });
  afterAll(() => postgres.close());

  it('[P1a] a page of a search looks at 10,000 people, and its cursor goes on behind the last of them', async () => {
    const late = `u${String(LIMITS.searchedPeopleMax + 50).padStart(7, '0')}`;
    const first = await layer.listUsers({ search: late });
    expect([first.items, first.nextCursor === null]).toEqual([[], false]);
    const second = await layer.listUsers({ search: late, cursor: first.nextCursor ?? '' });
    expect([second.items.map(({ id }) => id), second.nextCursor]).toEqual([[late], null]);
  });

  it('a page without a search reads as many people as it returns', async () => {
    const { items, nextCursor } = await layer.listUsers({ limit: 100 });
    expect([items.length, items[0]?.id, nextCursor === null]).toEqual([100, 'u0000001', false]);
    const read = await countRowsRead(
      postgres,
      tenantId,
      'users',
      sql`list_people('', '', 100, 10000, 1000000)`,
    );
    expect(read).toBeGreaterThanOrEqual(100);
    // A loop fetches its rows in blocks of 50.
    expect(read).toBeLessThanOrEqual(160);
    const found = await layer.listUsers({ limit: 1_000, search: 'person 9' });
    expect(found.items).toHaveLength(1_000);
    expect(found.items.at(-1)?.id).toBe('u0009888');
  });

  it('[P1b] a page of large people is shorter', async () => {
    const large = await makeWorld(postgres);
    await addPeople(large.tenantId, 150);
    await runAsOwner(
      `update users set properties = jsonb_build_object('a', repeat('x', 60000)) where tenant_id = $1`,
      [large.tenantId],
    );
    const ids: string[] = [];
    let pages = 0;
    for (let cursor: string | undefined; ; ) {
      const { items, nextCursor } = await large.layer.listUsers({ limit: 1_000, cursor });
      ids.push(...items.map(({ id }) => id));
      pages++;
      if (nextCursor === null) break;
      cursor = nextCursor;
    }
    expect([ids.length, new Set(ids).size]).toEqual([150, 150]);
    expect(pages).toBeGreaterThan(1);
  });
});

it('[P4] at most 10,000 spilled requests are counted', async () => {
  const postgres = openTestNeon();
  const { tenantId, spaceId } = await makeWorld(postgres);
  await runAsOwner(
    `insert into log_spill (tenant_id, space_id, incarnation, principal, key, fingerprint, message_ids, entries, posted_ids, bytes, requests_to, bytes_to)
     select $1, $2, 'i', 'k:one', 'key-' || n, 'f', '{}', '[]', '{}', 2, n, n * 2 from generate_series(1, $3::int) as n`,
    [tenantId, spaceId, LIMITS.figuresSpilledMax + 5],
  );
  expect(await createSpilledStore(postgres).countSpilled(tenantId)).toBe(LIMITS.figuresSpilledMax);
  await runAsOwner('delete from log_spill where tenant_id = $1', [tenantId]);
  await postgres.close();
});

it('[P1] the runtime role reads the rows of its own tenant, as row security shows them', async () => {
  const postgres = openTestNeon();
  const space = await makeLogSpace(postgres);
  const other = await makeLogSpace(postgres);
  await space.world.upsertUser(space.address.tenantId, {
    id: 'ann',
    displayName: 'Ann',
    avatarUrl: null,
    properties: {},
  });
  const call = "select people::text, next from list_people('', '', 10, 10, 1000)";
  expect((await queryAs(space, call))[0]?.people).toContain('"ann"');
  expect(await queryAs(other, call)).toEqual([{ people: '[]', next: null }]);
  await postgres.close();
});

it('[P2a] a page of incidents reads as many as it returns, of all spaces and of one', async () => {
  const postgres = openTestNeon();
  const { tenantId } = await makeWorld(postgres);
  await runAsOwner(
    `insert into incidents (tenant_id, incident_id, space_id, kind, detail, created_at)
     select $1, 'i' || n, 's' || n % 40, 'reader_ahead', '{}', now() - n * interval '1 second' from generate_series(1, 4000) as n`,
    [tenantId],
  );
  for (const space of [sql`null`, sql`'s7'`])
    for (const before of ['', 'i1000'])
      for (let i = 0; i < 7; i++) {
        const call = sql`list_incidents(${space}, ${before}, 11)`;
        expect(await countRowsRead(postgres, tenantId, 'incidents', call)).toBeLessThanOrEqual(12);
      }
  await postgres.close();
});
