import { Readable } from 'node:stream';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS, makeWorld, openTestPg } from '../../test/layers.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { createEventTable } from './event-table.ts';
import { createSessionStore } from './session-store.ts';

/** Every row of the tenant in every table as text: what is still to be found of a person shows here. */
async function dumpTenant(tenantId: string): Promise<string> {
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  await client.connect();
  try {
    await client.query("select set_config('app.tenant_id', $1, false)", [tenantId]);
    const { rows: tables } = await client.query<{ name: string }>(
      "select table_name as name from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'",
    );
    expect(tables.length).toBeGreaterThanOrEqual(11);
    const rows: unknown[] = [];
    for (const { name } of tables.toSorted((a, b) => a.name.localeCompare(b.name)))
      rows.push(...(await client.query(`select * from ${name} as t order by t::text`)).rows);
    return rows.map((row) => JSON.stringify(row)).join('\n');
  } finally {
    await client.end();
  }
}

describe.each(Object.entries(DRIVERS))('erasing a person on %s', (_, openDriver) => {
  const postgres = openDriver();
  afterAll(() => postgres.close());

  /** A tenant in which a person has left a trace everywhere one can be left. */
  async function makeTraces() {
    const { layer, tenantId } = await makeWorld(postgres);
    const person = uniqueName('person');
    const [asPerson, asOther] = [layer.forTenant(tenantId, person), layer.forTenant(tenantId, 'other')];
    await layer.upsertUser({ id: person, displayName: 'Ann', properties: { likes: 'tea' } });
    await layer.upsertUser({ id: 'other', displayName: 'Bob' });
    await layer.putSpace('second', { name: 'Second' });
    // Of a space that is then deleted: its rows are still there.
    await layer.putSpace('deleted', { name: 'Deleted' });
    await asPerson.saveObject({ id: 'hidden' }, { spaceId: 'deleted' });
    await layer.deleteSpace('deleted');
    await layer.saveWorldState({
      objects: [{ id: 'imported', createdBy: person }],
      users: [{ id: person, displayName: 'Ann' }],
      chat: [
        { id: 'said', userId: person, text: 'hello' },
        { id: 'answered', userId: 'other', text: 'hello you' },
      ],
    });
    await asPerson.saveObject({ id: 'made' }, { spaceId: 'second' });
    await asPerson.saveObject({ id: 'made' });
    await asOther.saveObject({ id: 'made' });
    await asOther.saveObject({ id: 'changed' });
    await asPerson.updateObject('changed', { name: 'changed' });
    await asOther.saveObject({ id: 'untouched' });
    const sessions = createSessionStore(postgres);
    await sessions.mintSession({
      tenantId,
      id: 'stay',
      spaceId: 'main',
      userId: person,
      role: 'editor',
      createdAt: '2026-01-01T00:00:00Z',
      expiresAt: '2100-01-01T00:00:00Z',
    });
    const events = [{ id: 'their-event', type: 'session.start', user: person, at: '2026-11-01' }];
    await createEventTable(postgres).storeEvents({
      log: null,
      entries: [{ tenantId, seq: null, events: JSON.stringify(events) }],
    });
    return { layer, tenantId, person, asPerson };
  }

  it('leaves no trace of them, one pseudonym as the author of their objects, and all other data unchanged', async () => {
    const { layer, tenantId, person } = await makeTraces();
    const dump = await dumpTenant(tenantId);
    for (const trace of [person, '"session_id":"stay"', '"event_id":"their-event"', '"sessions":1'])
      expect(dump).toContain(trace);
    const before = await layer.loadWorldState();
    await layer.eraseUser(person);
    expect(await dumpTenant(tenantId)).not.toContain(person);

    const after = await layer.loadWorldState();
    const authors = Object.fromEntries(after.objects.map((o) => [o.id, [o.createdBy, o.updatedBy]]));
    const pseudonym = authors.imported?.[0] ?? '';
    expect(pseudonym).toMatch(/^erased:[0-9a-f-]{36}$/);
    expect(authors).toEqual({
      changed: ['other', pseudonym],
      imported: [pseudonym, 'tester'],
      made: [pseudonym, 'other'],
      untouched: ['other', 'other'],
    });
    expect((await layer.getObject('made', { spaceId: 'second' })).createdBy).toBe(pseudonym);
    const nameless = (objects: typeof after.objects) =>
      objects.map(({ createdBy, updatedBy, ...object }) => object);
    expect(nameless(after.objects)).toEqual(nameless(before.objects));
    expect(after.users).toEqual([]);
    expect(after.chat.map(({ id, userId, text }) => [id, userId, text])).toEqual([
      ['answered', 'other', 'hello you'],
    ]);
    expect(after.rev).toBeGreaterThan(before.rev);
    await expect(layer.getUser(person)).rejects.toMatchObject({ code: 'not_found' });
    expect(await layer.getUser('other')).toMatchObject({ displayName: 'Bob' });
  });

  it('finds what was left after it by erasing once more, and is not found where there is nothing', async () => {
    const { layer, tenantId, person, asPerson } = await makeTraces();
    await layer.eraseUser(person);
    await expect(layer.eraseUser(person)).rejects.toMatchObject({ code: 'not_found' });
    await asPerson.saveObject({ id: 'late' });
    await layer.eraseUser(person);
    expect(await dumpTenant(tenantId)).not.toContain(person);
    await expect(layer.eraseUser('nobody')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('touches nothing of another tenant’s person of the same name', async () => {
    const { tenantId, person } = await makeTraces();
    const other = await makeWorld(postgres);
    const before = await dumpTenant(tenantId);
    await expect(other.layer.eraseUser(person)).rejects.toMatchObject({ code: 'not_found' });
    expect(await dumpTenant(tenantId)).toBe(before);
  });
});

it('erasing while others write neither deadlocks nor leaves half of it', async () => {
  const postgres = openTestPg();
  const { layer, tenantId } = await makeWorld(postgres);
  const spaces = ['a', 'b', 'c'];
  for (const space of spaces) await layer.putSpace(space, { name: space });
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  const asAnn = layer.forTenant(tenantId, 'ann');
  for (const spaceId of spaces)
    await asAnn.saveWorldState(
      { objects: Array.from({ length: 50 }, (_, i) => ({ id: `o${i}` })) },
      { spaceId },
    );
  const writes = spaces.flatMap((spaceId) => [
    layer.saveWorldState(
      { objects: Array.from({ length: 50 }, (_, i) => ({ id: `o${49 - i}` })) },
      { spaceId, mode: 'merge' },
    ),
    layer.updateObject('o7', { name: 'changed' }, { spaceId }),
  ]);
  await Promise.all([...writes, layer.eraseUser('ann')]);
  for (const spaceId of spaces) {
    const { objects } = await layer.loadWorldState(spaceId);
    expect(objects).toHaveLength(50);
    expect(new Set(objects.map(({ createdBy }) => createdBy)).size).toBe(1);
    expect(JSON.stringify(objects)).not.toContain('"ann"');
  }
  await postgres.close();
});

describe.each(Object.entries(DRIVERS))(
  'a layer that has one space and not its tenant, on %s',
  (_, openDriver) => {
    const postgres = openDriver();
    afterAll(() => postgres.close());

    it('makes neither spaces nor people, and saves no people, models or media', async () => {
      const { layer, tenantId } = await makeWorld(postgres);
      await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
      const guest = layer.forTenant(tenantId, 'ann', { withinSpace: true });
      await expect(guest.putSpace('new', { name: 'New' })).rejects.toMatchObject({ code: 'not_found' });
      await expect(guest.putUser({ id: 'bob', displayName: 'Bob' })).rejects.toMatchObject({
        code: 'not_found',
      });
      const whole = {
        objects: [{ id: 'o' }],
        users: [{ id: 'bob', displayName: 'Bob' }],
        models: [{ id: 'm', url: '/m' }],
        media: [{ id: 'i', url: '/i' }],
      };
      for (const mode of ['replace', 'merge'] as const)
        await expect(guest.saveWorldState(whole, { mode })).rejects.toMatchObject({
          code: 'forbidden',
          errors: [{ path: '/users' }, { path: '/models' }, { path: '/media' }],
        });
      expect((await layer.loadWorldState()).objects).toEqual([]);

      const { space, created } = await guest.putSpace('main', { name: 'Renamed', settings: { fog: 1 } });
      expect([space.name, space.settings, created]).toEqual(['Renamed', { fog: 1 }, false]);
      expect(await layer.getSpace('main')).toEqual(space);
      const { user } = await guest.putUser({ id: 'ann', displayName: 'Anna', properties: { hat: true } });
      expect(await layer.getUser('ann')).toEqual(user);
      expect(user).toMatchObject({ displayName: 'Anna', properties: { hat: true } });
      await guest.saveWorldState({
        objects: [{ id: 'o' }],
        users: [],
        models: [],
        chat: [{ id: 'c', text: 'hi' }],
      });
      expect((await layer.loadWorldState()).objects).toMatchObject([{ id: 'o', createdBy: 'ann' }]);
    });

    it.each(['replace', 'merge'] as const)('signs nothing as another person in a %s', async (mode) => {
      const { layer, tenantId } = await makeWorld(postgres);
      await layer.forTenant(tenantId, 'bob').saveObject({ id: 'old' });
      await layer.saveWorldState(
        { objects: [], chat: [{ id: 'said', text: 'hi', userId: 'bob' }] },
        { mode: 'merge' },
      );
      const guest = layer.forTenant(tenantId, 'ann', { withinSpace: true });
      const signed = { createdBy: 'cleo', updatedBy: 'cleo' };
      const objects = [
        { id: 'old', ...signed },
        { id: 'new', ...signed },
      ];
      const chat = [
        { id: 'said', text: 'changed', userId: 'cleo' },
        { id: 'own', text: 'mine', userId: 'ann' },
        { id: 'forged', text: 'not mine', userId: 'bob' },
      ];
      await guest.saveWorldState({ objects, chat }, { mode });
      const read = async () => {
        const state = await layer.loadWorldState();
        return [
          state.objects.map(({ id, createdBy, updatedBy }) => [id, createdBy, updatedBy]),
          state.chat.map(({ id, userId }) => [id, userId]).toSorted(),
        ];
      };
      const expected = [
        [
          ['new', 'ann', 'ann'],
          ['old', 'bob', 'ann'],
        ],
        [
          ['forged', null],
          ['own', 'ann'],
          ['said', 'bob'],
        ],
      ] as const;
      expect(await read()).toEqual(expected);
      const lines = [
        ...objects.map((object) => ({ kind: 'object', ...object })),
        { kind: 'object', id: 'newer', ...signed },
        { kind: 'chat', id: 'streamed', text: 'not mine', userId: 'bob' },
        { kind: 'end' },
      ];
      await guest.saveWorldStream(Readable.from(lines), { mode });
      const [[one, ...rest], said] = expected;
      expect(await read()).toEqual([
        [one, ['newer', 'ann', 'ann'], ...rest],
        [...said, ['streamed', null]],
      ]);
      // A server may: that is how a world is brought from elsewhere.
      await layer.saveWorldState({ objects: [{ id: 'new2', createdBy: 'cleo' }] }, { mode });
      expect((await layer.getObject('new2')).createdBy).toBe('cleo');
    });
  },
);
