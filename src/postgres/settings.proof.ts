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

/** Each setting alone: among all of them, one may undo what another does. */
describe('one setting of the database', () => {
  let database: SettingsDatabase;
  let expected: Answered[];
  beforeAll(async () => {
    database = await openSettingsDatabase([]);
    expected = await askEverything('pg over TCP', stack().databaseUrl);
  });
  afterAll(() => database?.drop());

  it.each(SETTINGS)('changes no answer: %s = %s', async (name, value) => {
    await database.set([[name, value]]);
    for (const client of CLIENTS) {
      expect(await askEverything(client, database.url, database.redisEnv), client).toEqual(expected);
      const uncached = await askEverything(client, database.url, {
        ...database.redisEnv,
        CACHE_ENABLED: 'false',
      });
      expect(uncached, client).toEqual(expected);
    }
  });
});
