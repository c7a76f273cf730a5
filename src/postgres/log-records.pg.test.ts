import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS } from '../../test/layers.ts';
import { makeInput, makeLogSpace, queryAs } from '../../test/log-space.ts';
import { stack } from '../../test/support.ts';

type Space = Awaited<ReturnType<typeof makeLogSpace>>;

const RETENTION = { resultsSeconds: 86_400, deadLetterDays: 7 };

describe.each(Object.entries(DRIVERS))('the records of a log on Postgres, on %s', (_, openDriver) => {
  const postgres = openDriver();
  afterAll(() => postgres.close());

  describe('dead letters', () => {
    it('are listed, corrected, replayed and deleted, by their tenant only', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address } = space;
      const { tenantId } = address;
      const seq = space.cursor + 1;
      await space.apply({ singles: [{ seq, index: 0, actor: null, op: { op: 'put', id: 'o' } }] });
      const op = { op: 'patch', id: 'o', parentId: 'a/b', name: 'nul\0 "quoted"' } as const;
      const singles = Array.from({ length: 3 }, (_, index) => ({ seq, index, actor: 'ann', op }));
      const { dead } = await space.apply({ singles });
      expect(dead).toHaveLength(3);
      const [newest] = dead
        .map(({ deadLetterId }) => deadLetterId)
        .toSorted()
        .reverse();
      const page = await store.listDeadLetters(tenantId, 2, '');
      expect([page.letters.length, page.more, page.letters[0]?.id]).toEqual([2, true, newest]);
      const rest = await store.listDeadLetters(tenantId, 2, page.letters[1]?.id ?? '');
      expect([rest.letters.length, rest.more]).toEqual([1, false]);
      const loaded = await store.loadDeadLetter(tenantId, newest ?? '');
      expect(loaded).toMatchObject({
        letter: { spaceId: 'main', seq, actor: 'ann', op, replayedAt: null },
        isOutlived: false,
      });
      expect(loaded?.letter.error.code).toMatch(/^(22|23)/);
      await store.markReplayed(tenantId, newest ?? '');
      expect((await store.loadDeadLetter(tenantId, newest ?? ''))?.letter.replayedAt).not.toBeNull();

      expect(await store.listUncorrected(address, 10)).toEqual(dead);
      const [first] = dead;
      await store.markCorrected(address, [first?.deadLetterId ?? '']);
      expect(await store.listUncorrected(address, 10)).toEqual(dead.slice(1));
      const { tenantId: other } = (await makeLogSpace(postgres)).address;
      expect(await store.loadDeadLetter(other, newest ?? '')).toBeNull();
      expect(await store.discardDeadLetter(other, newest ?? '')).toBe(false);
      expect(await store.discardDeadLetter(tenantId, newest ?? '')).toBe(true);
      expect(await store.discardDeadLetter(tenantId, newest ?? '')).toBe(false);
    });

    it('name the properties of an avatar that they gave, except names that no jsonb holds', async () => {
      const space = await makeLogSpace(postgres);
      const { store, world, address } = space;
      const person = { displayName: 'A', avatarUrl: null, properties: {} };
      await world.upsertUser(address.tenantId, { id: 'ann', ...person });
      const seq = space.cursor + 1;
      const patches = [{ hat: 'x'.repeat(65_536), __coat: { red: null } }, { 'nul\0': 1 }];
      const singles = patches.map((properties, index) => ({
        seq,
        index,
        actor: null,
        op: { op: 'user.patch' as const, id: 'ann', properties },
      }));
      const { dead } = await space.apply({ singles });
      expect(dead.map(({ propertyKeys }) => propertyKeys)).toEqual([['hat', '__coat'], []]);
      expect(await store.listUncorrected(address, 10)).toEqual(dead);
    });
  });

  describe('what a log leaves behind', () => {
    it('goes after its time, of all tenants, and nothing before', async () => {
      const spaces = [await makeLogSpace(postgres), await makeLogSpace(postgres)] as const;
      const ages = [
        ['write_results', '1 day'],
        ['dead_letters', '7 days'],
        ['written_objects', '1 minute'],
      ] as const;
      for (const space of spaces) {
        const seq = space.cursor + 1;
        const op = { op: 'put', id: 'o', parentId: 'a/b' } as const;
        const change = { kind: 'put', id: 'w', seq, actor: null, object: makeInput('w') } as const;
        await space.apply({
          objects: [{ ...change, createdSeq: seq, createdBy: null, isNew: false }],
          written: [{ seq, id: 'w' }],
          singles: [{ seq, index: 0, actor: null, op }],
          results: [{ seq, results: [{ id: 'o', status: 'applied' }] }],
        });
      }
      const count = async (space: Space) =>
        Promise.all(ages.map(async ([table]) => (await queryAs(space, `select from ${table}`)).length));
      const [one, other] = spaces;
      const owner = new pg.Client({
        connectionString: stack().superuserUrl.replace(
          /[^/]*$/,
          new URL(stack().databaseUrl).pathname.slice(1),
        ),
      });
      await owner.connect();
      const age = async (space: Space, seconds: number) => {
        for (const [table, interval] of ages)
          await owner.query(
            `update ${table} set created_at = now() - interval '${interval}' + $2 * interval '1 second' where tenant_id = $1`,
            [space.address.tenantId, seconds],
          );
      };
      await age(one, 60);
      await age(other, 60);
      await one.store.sweepAllRecords(RETENTION);
      expect([await count(one), await count(other)]).toEqual([
        [1, 1, 1],
        [1, 1, 1],
      ]);
      await age(one, -60);
      // The sweep of another test may come first, so its count says nothing.
      await one.store.sweepAllRecords(RETENTION);
      expect([await count(one), await count(other)]).toEqual([
        [0, 0, 0],
        [1, 1, 1],
      ]);
      await owner.end();
    });
  });
});
