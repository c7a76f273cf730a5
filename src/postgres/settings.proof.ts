import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answered,
  askEverything,
  CLIENTS,
  openSettingsDatabase,
  SETTINGS,
  type Setting,
  type SettingsDatabase,
} from '../../test/settings-database.ts';
import { stack } from '../../test/support.ts';

const GROUPS = 9;
/** A few settings at a time: among all of them, one may undo what another does. Values of one name are in different groups. */
const groups = Array.from({ length: GROUPS }, (_, group): Setting[] =>
  SETTINGS.filter((_, i) => i % GROUPS === group),
);

describe('settings of the database', () => {
  let database: SettingsDatabase;
  let expected: Answered[];
  beforeAll(async () => {
    database = await openSettingsDatabase([]);
    expected = await askEverything('pg over TCP', stack().databaseUrl);
  });
  afterAll(() => database?.drop());

  it.each(groups.map((group) => [group.map((setting) => setting.join(' = ')).join(', '), group] as const))(
    'change no answer: %s',
    async (_, group) => {
      expect(new Set(group.map(([name]) => name)).size).toBe(group.length);
      await database.set(group);
      for (const client of CLIENTS) {
        expect(await askEverything(client, database.url, database.redisEnv), client).toEqual(expected);
        const uncached = await askEverything(client, database.url, {
          ...database.redisEnv,
          CACHE_ENABLED: 'false',
        });
        expect(uncached, client).toEqual(expected);
      }
    },
  );
});
