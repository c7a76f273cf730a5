import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { openTestMemory, openTestPg } from '../../test/layers.ts';

const dbs = { pg: openTestPg, mem: openTestMemory };
describe.each(Object.entries(dbs))('%s', (_, open) => {
  it('refreshes', async () => {
    const postgres = open();
    const [rows] = await postgres.inTenant('', (db) => [
      db.select({ ok: sql<boolean>`ok` }).from(sql`refresh_all_materialized_views() as ok`),
    ]);
    expect(rows).toEqual([{ ok: true }]);
  });
});
