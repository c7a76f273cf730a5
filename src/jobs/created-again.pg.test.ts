import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { RETENTION } from '../../test/jobs/old-and-new.ts';
import { openLayer } from '../../test/layers.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import { createUpkeepStore } from '../postgres/upkeep-store.ts';
import { createForgetSpace } from '../redis/forget-space.ts';
import { KnownLogs } from '../redis/known-logs.ts';
import { createPresenceStore } from '../redis/presence.ts';
import { Upkeep } from './upkeep.ts';

let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());
const [, openRedis] = REDIS_WAYS[0] ?? [];
if (openRedis === undefined) throw new Error('There is no way to Redis.');
const { redis } = useLogs(openRedis);

/** A space that was deleted eight days ago. */
async function makeDeleted() {
  const tenantId = uniqueName('t');
  const layer = openLayer(database.postgres, { tenantId, spaceId: 's', actor: 'ann' });
  await layer.connect();
  await layer.saveObject({ id: 'a' });
  await layer.deleteSpace('s');
  const { rows } = await database.admin.query<{ incarnation: string }>(
    "update spaces set deleted_at = now() - interval '8 days' where tenant_id = $1 and space_id = 's' returning incarnation",
    [tenantId],
  );
  return { tenantId, layer, incarnation: rows[0]?.incarnation ?? '' };
}

it('[U4a] a space can be created again while its last batch is removed', async () => {
  const { tenantId, layer, incarnation } = await makeDeleted();
  const cleanup = new pg.Client({ connectionString: database.superuserUrl });
  await cleanup.connect();
  onTestFinished(() => cleanup.end());
  await cleanup.query('begin');
  await cleanup.query("select from spaces where tenant_id = $1 and space_id = 's' for update", [tenantId]);
  const creating = layer.putSpace('s', { name: 'Again' });
  const isWaiting = async () => {
    const { rows } = await database.admin.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return rows.length;
  };
  await expect.poll(isWaiting).toBe(1);
  await cleanup.query("select purge_space($1, 's', $2, now(), 500)", [tenantId, incarnation]);
  await cleanup.query('commit');
  expect(await creating).toMatchObject({ space: { id: 's', name: 'Again' }, created: true });
  expect(await layer.listObjects()).toMatchObject({ items: [] });
});

it('[U4a] the people in a space that is created again during a cleanup stay', async () => {
  const { tenantId, layer } = await makeDeleted();
  const store = createUpkeepStore(database.postgres);
  const presence = createPresenceStore(redis());
  const space = { tenantId, spaceId: 's' };
  const upkeep = new Upkeep(
    {
      ...store,
      async listDeletedSpaces(...args) {
        const listed = await store.listDeletedSpaces(...args);
        await layer.putSpace('s', { name: 'Again' });
        await presence.touch({ ...space, sessionId: 'x', userId: 'ann' });
        return listed;
      },
    },
    {
      now: Date.now,
      retention: RETENTION,
      forgetSpace: createForgetSpace(redis(), new KnownLogs(redis())),
      sweepObjects: async () => 0,
      onFailure: (step, cause) => expect.unreachable(`${step}: ${cause}`),
    },
  );
  await upkeep.run({ budgetMs: 20_000 });
  const { people } = await presence.list(space, { after: '', limit: 10 });
  expect(people.map(({ userId }) => userId)).toEqual(['ann']);
});
