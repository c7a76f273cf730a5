import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fillTenant } from '../../test/jobs/old-and-new.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { stack } from '../../test/support.ts';

let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

it('[U7] the SQL of docs/operating.md works as written, by worldkeep_jobs and across tenants', async () => {
  const { postgres, admin, url } = database;
  await fillTenant(postgres, admin, Date.now());
  await fillTenant(postgres, admin, Date.now());
  const { pathname } = new URL(url);
  const owner = new pg.Client({
    connectionString: Object.assign(new URL(stack().migrationUrl), { pathname }).href,
  });
  const notices: (string | undefined)[] = [];
  owner.on('notice', ({ message }) => notices.push(message));
  await owner.connect();
  try {
    await owner.query('SET ROLE worldkeep_jobs');
    const remove = async (sql: string) => (await owner.query(sql)).rowCount;
    expect(await remove("DELETE FROM chat_messages WHERE deleted_at < NOW() - INTERVAL '7 days'")).toBe(2);
    expect(
      await remove("DELETE FROM events WHERE created_at < NOW() - INTERVAL '30 days'"),
    ).toBeGreaterThanOrEqual(2);
    await owner.query('VACUUM ANALYZE');
    const { rows } = await owner.query<{ version: number }>(
      "select current_setting('server_version_num')::int as version",
    );
    // An older Postgres cannot let another role than the owner vacuum a table.
    if ((rows[0]?.version ?? 0) >= 170_000) {
      const skipped = notices.filter((notice) =>
        /"(events|spaces|world_objects|chat_messages)"/.test(notice ?? ''),
      );
      expect(skipped).toEqual([]);
      const { rows: left } = await admin.query<{ name: string }>(
        `select relname as name from pg_stat_user_tables
        where schemaname in ('public', 'day_partitions') and last_vacuum is null and relname not in ('events', 'audit_entries') order by 1`,
      );
      // The tables with days have no rows themselves: their days are vacuumed.
      expect(left).toEqual([]);
    }
  } finally {
    await owner.end();
  }
});
