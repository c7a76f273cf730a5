import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answered,
  askEverything,
  CLIENTS,
  openSettingsDatabase,
  SETTINGS,
  type SettingsDatabase,
} from '../../test/settings-database.ts';
import { stack } from '../../test/support.ts';
import { openPg } from './pg.ts';
import { FIXED_SETTINGS } from './settings.ts';

const WITHOUT_CACHE = { CACHE_ENABLED: 'false' };

describe('settings of the database', () => {
  let database: SettingsDatabase;
  let expected: Answered[];
  beforeAll(async () => {
    [database, expected] = await Promise.all([
      openSettingsDatabase(SETTINGS),
      askEverything('pg over TCP', stack().databaseUrl),
    ]);
  });
  afterAll(() => database?.drop());

  it('are asked about with every kind of request', () => {
    const failed = expected
      .filter(([, status]) => status >= 400)
      .map(([request, status]) => [request, status]);
    expect(failed).toEqual([
      ['GET /v1/spaces/here/objects/none', 404],
      ['GET /v1/spaces/here/changes?since=0', 410],
      ['PUT /v1/spaces/here/objects/large', 422],
      ['GET /v1/spaces/here', 404],
    ]);
  });

  it.each(CLIENTS)('change no answer, whichever they are: %s', async (client) => {
    expect(await askEverything(client, database.url, database.redisEnv)).toEqual(expected);
    const uncached = await askEverything(client, database.url, { ...database.redisEnv, ...WITHOUT_CACHE });
    expect(uncached).toEqual(expected);
  });

  it('change no answer where the connection string has them', async () => {
    const url = new URL(stack().databaseUrl);
    const options = SETTINGS.filter(([name]) => !name.startsWith('plpgsql') && name !== 'lc_messages');
    url.searchParams.set(
      'options',
      options.map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`).join(' '),
    );
    expect(await askEverything('pg over TCP', url.href)).toEqual(expected);
  });

  it('are what the product needs within its transactions', async () => {
    const postgres = openPg({ databaseUrl: database.url, poolSizeMax: 1, timeoutMs: 5_000 });
    const names = [...Object.keys(FIXED_SETTINGS), 'statement_timeout', 'transaction_timeout'];
    const [{ rows }] = (await postgres.inTenant('t', (db) => [
      db.execute(sql`select name, current_setting(name) as value from pg_settings where name in ${names}`),
    ])) as unknown as [{ rows: { name: string; value: string }[] }];
    await postgres.close();
    expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual({
      ...FIXED_SETTINGS,
      statement_timeout: '5s',
      transaction_timeout: '0',
    });
  });
});
