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

describe('erasing a person from the audit', () => {
  /** Rows of the audit, by table, as a superuser sees them. */
  async function openAudit() {
    const postgres = openTestPg();
    const { layer, tenantId } = await makeWorld(postgres);
    const admin = new pg.Client({
      connectionString: stack().superuserUrl.replace(/\/postgres$/, '/worldkeep'),
    });
    await admin.connect();
    const insert = async (rows: Record<string, unknown>[], of = tenantId) => {
      for (const row of rows) {
        const all = { tenant_id: of, action: 'insert', ...row };
        const names = Object.keys(all);
        await admin.query(
          `insert into audit_entries (${names}) values (${names.map((_, i) => `$${i + 1}`)})`,
          Object.values(all),
        );
      }
    };
    const read = async (of = tenantId) =>
      (
        await admin.query(
          `select e.*, encode(audit_hash(e), 'hex') as hash from audit_entries e
          where tenant_id = $1 and action <> 'erase' order by audit_id`,
          [of],
        )
      ).rows;
    const close = async () => void (await Promise.all([admin.end(), postgres.close()]));
    return { postgres, layer, tenantId, admin, insert, read, close };
  }

  it('[T8d] keeps each row and its hash, and loses who or what', async () => {
    const { layer, tenantId, admin, insert, read, close } = await openAudit();
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    await layer.saveWorldState({ chat: [{ id: 'said', userId: 'ann', text: 'hi' }], objects: [] });
    await admin.query('delete from audit_entries where tenant_id = $1', [tenantId]);
    await insert([
      {
        actor: 'ann',
        request_id: 'r1',
        table_name: 'world_objects',
        object_id: 'desk',
        new: '{"name": "Desk"}',
      },
      {
        actor: 'key_1',
        request_id: 'r2',
        table_name: 'users',
        object_id: 'ann',
        user_id: 'ann',
        new: '{"a": 1}',
      },
      { actor: 'ann', table_name: 'sessions', object_id: 's1', user_id: 'ann', new: '{"role": "owner"}' },
      {
        actor: 'key_1',
        table_name: 'chat_messages',
        object_id: 'said',
        user_id: 'ann',
        new: '{"kind": "text"}',
      },
      {
        actor: 'key_1',
        table_name: 'spaces',
        object_id: 'main',
        old: '{"settings": {"host": ["ann"]}}',
        new: '{}',
      },
      // Others: an object and a space that have the name, columns and values that equal it, a longer name, and another person.
      { actor: 'key_1', table_name: 'spaces', object_id: 'ann', new: '{"name": "ann", "settings": {}}' },
      {
        actor: 'key_1',
        table_name: 'space_members',
        object_id: 'bob',
        user_id: 'bob',
        new: '{"ann": 1, "role": "ann"}',
      },
      { actor: 'key_1', table_name: 'world_objects', object_id: 'ann', new: '{"name": "Anna"}' },
      {
        actor: 'anna',
        request_id: 'r3',
        table_name: 'users',
        object_id: 'anna',
        user_id: 'anna',
        new: '{"b": "anna"}',
      },
    ]);
    const before = await read();
    await layer.eraseUser('ann');
    const ids = new Set(before.map((row) => row.audit_id));
    const after = (await read()).filter((row) => ids.has(row.audit_id));
    expect(after.map(({ hash }) => hash)).toEqual(before.map(({ hash }) => hash));
    const pseudonym = after[0]?.actor;
    expect(pseudonym).toMatch(/^erased:/);
    const brief = after.map((row) => [
      row.actor,
      row.request_id,
      row.object_id,
      row.user_id,
      row.old,
      row.new,
    ]);
    expect(brief).toEqual([
      [pseudonym, null, 'desk', null, null, { name: 'Desk' }],
      ['key_1', 'r2', null, null, null, null],
      [pseudonym, null, null, null, null, null],
      ['key_1', null, null, null, null, null],
      ['key_1', null, null, null, null, null],
      ['key_1', null, 'ann', null, null, { name: 'ann', settings: {} }],
      ['key_1', null, 'bob', 'bob', null, { ann: 1, role: 'ann' }],
      ['key_1', null, 'ann', null, null, { name: 'Anna' }],
      ['anna', 'r3', 'anna', 'anna', null, { b: 'anna' }],
    ]);
    // A salt that stayed would let somebody try names.
    expect(after.map(({ actor_salt, content_salt }) => [actor_salt === null, content_salt === null])).toEqual(
      [
        [true, false],
        [false, true],
        [true, true],
        [false, true],
        [false, true],
        [false, false],
        [false, false],
        [false, false],
        [false, false],
      ],
    );
    const { rows } = await admin.query(
      `select table_name, object_id, new, actor from audit_entries where tenant_id = $1 and action = 'erase'`,
      [tenantId],
    );
    expect(rows).toEqual([
      { table_name: 'users', object_id: pseudonym, new: { rows: expect.any(Number) }, actor: null },
    ]);
    await close();
  });

  it('[T8d] removes no trace of a key, and a person has no id of a key', async () => {
    const { layer, tenantId, insert, read, close } = await openAudit();
    const key = 'key_0123456789abcdef';
    await layer.forTenant(tenantId, key).saveObject({ id: 'desk' });
    await insert([{ actor: key, table_name: 'api_keys', object_id: key, new: '{"scopes": []}' }]);
    const before = await read();
    await expect(layer.eraseUser(key)).rejects.toMatchObject({ code: 'not_found' });
    expect(await read()).toEqual(before);
    expect((await layer.getObject('desk')).createdBy).toBe(key);
    const person = { id: key, displayName: 'Ann' };
    await expect(layer.upsertUser(person)).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(layer.saveWorldState({ objects: [], users: [person] })).rejects.toMatchObject({
      code: 'validation_failed',
    });
    await close();
  });

  it('[T8d] adds a row for each call that removes something, also by the runtime role itself', async () => {
    const { layer, tenantId, admin, close } = await openAudit();
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    const app = new pg.Client({ connectionString: stack().databaseUrl });
    await app.connect();
    await app.query("select set_config('app.tenant_id', $1, false)", [tenantId]);
    const erase = (pseudonym: string) =>
      app.query("select * from erase_audit_page('ann', $1, null, '-infinity', 0, 'infinity', 1000, 0)", [
        pseudonym,
      ]);
    await expect(erase('bob')).rejects.toThrow('a pseudonym begins with erased:');
    await expect(app.query("select note_erasure('x', 'y', 1)")).rejects.toThrow('permission denied');
    await erase(`erased:${crypto.randomUUID()}`);
    const { rows } = await admin.query(
      `select actor, new from audit_entries where tenant_id = $1 and action = 'erase'`,
      [tenantId],
    );
    expect(rows).toEqual([{ actor: 'role/worldkeep_app', new: { rows: 1 } }]);
    await Promise.all([app.end(), close()]);
  });

  it('[T8d] is possible with a dead letter that no text can hold', async () => {
    const { layer, tenantId, admin, close } = await openAudit();
    for (const id of ['ann', 'bob']) await layer.upsertUser({ id, displayName: id });
    for (const id of ['ann', 'bob'])
      await admin.query(
        `insert into dead_letters (tenant_id, dead_letter_id, space_id, incarnation, seq, index, kind, target_id, op)
        select tenant_id, $2, space_id, incarnation, 1, 0, 'message', 'm', $3::json from spaces where tenant_id = $1`,
        [tenantId, id, `{"op":"chat.post","id":"m","userId":"${id}","text":"\\u0000"}`],
      );
    expect(await layer.eraseUser('ann')).toMatchObject({ deadLetters: 1 });
    let text = '';
    for await (const piece of await layer.exportUser('bob')) text += piece;
    expect(JSON.parse(text)).toMatchObject({ deadLetters: [{ id: 'bob' }], complete: true });
    await close();
  });

  it('[T8d] takes only the ids of a spilled move', async () => {
    const { admin, close } = await openAudit();
    const { rows } = await admin.query(
      `select erase_from_operation('{"op":"user.move","ids":["op","bob"],"position":[1]}', 'op', 'erased:1') as op`,
    );
    expect(rows).toEqual([{ op: '{"op":"user.move","ids":["erased:1","bob"],"position":[1]}' }]);
    await close();
  });

  it('[T9] an export has only the spilled operations that name the person', async () => {
    const { layer, tenantId, admin, close } = await openAudit();
    await layer.upsertUser({ id: 'op', displayName: 'Op' });
    const ops = [
      { op: 'chat.post', id: 'm', userId: 'bob', text: 'from bob', kind: 'text' },
      { op: 'user.move', ids: ['bob', 'op'], position: [] },
    ];
    await admin.query(
      `insert into log_spill (tenant_id, space_id, incarnation, actor, principal, key, fingerprint, message_ids, entries, posted_ids, bytes, requests_to, bytes_to)
      select $1, 'main', 'i', 'bob', 'u:bob', md5(ops), 'f', '{}', json_build_array(json_build_object('ops', ops, 'count', 1)), '{}', 1, 1, 1
      from unnest($2::text[]) as ops`,
      [tenantId, [JSON.stringify(ops), JSON.stringify([ops[0]])]],
    );
    let text = '';
    for await (const piece of await layer.exportUser('op')) text += piece;
    expect(JSON.parse(text)).toMatchObject({ spilled: [{ operations: [ops[1]] }] });
    await close();
  });

  it('[T9] an export has no row of somebody else whose columns equal the id', async () => {
    const { layer, close } = await openAudit();
    await layer.upsertUser({ id: 'bob', displayName: 'Bob' });
    await layer.upsertUser({ id: 'display_name', displayName: 'Eve' });
    let text = '';
    for await (const piece of await layer.exportUser('display_name')) text += piece;
    expect(text).toContain('Eve');
    expect(text).not.toContain('Bob');
    await close();
  });

  it('[T8d] notes nothing if there is nothing, and reaches no other tenant', async () => {
    const { layer, tenantId, admin, insert, read, close } = await openAudit();
    const other = await makeWorld(openTestPg());
    const row = { actor: 'ann', table_name: 'users', object_id: 'ann', user_id: 'ann', new: '{"a": "ann"}' };
    await insert([row], other.tenantId);
    const before = await read(other.tenantId);
    await expect(layer.eraseUser('ann')).rejects.toMatchObject({ code: 'not_found' });
    expect(await read(other.tenantId)).toEqual(before);
    const { rowCount } = await admin.query(
      `select from audit_entries where tenant_id = $1 and action = 'erase'`,
      [tenantId],
    );
    expect(rowCount).toBe(0);
    await insert([row]);
    await layer.eraseUser('ann');
    expect(await read(other.tenantId)).toEqual(before);
    await close();
  });
});

it('[T8e] erasing a person deletes the file that only their picture names, and no other file', async () => {
  const postgres = openTestPg();
  const { layer, tenantId } = await makeWorld(postgres);
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  await client.connect();
  await client.query("select set_config('app.tenant_id', $1, false)", [tenantId]);
  const addFile = async (id: string) => {
    const sha256 = Buffer.from(id.padEnd(32, '.'));
    await client.query('select begin_object($1, 1, 1000000, null)', [`files/${id}`]);
    await client.query(`select register_object($1, $2, 1, 1000000, 'media', $3, $3, 'image/png', null)`, [
      `files/${id}`,
      sha256,
      id,
    ]);
  };
  const makeUser = (id: string, media: string) =>
    layer.upsertUser({ id, displayName: id, avatarUrl: `https://worlds.example/v1/media/${media}/file` });
  const listFiles = async () =>
    (await client.query('select media_id from media_assets order by media_id')).rows.map(
      ({ media_id }) => media_id,
    );
  for (const id of ['in-object', 'in-settings', 'own', 'shared', 'url']) await addFile(id);
  await layer.putSpace('lobby', { name: 'Lobby', settings: { logo: '/v1/media/in-settings/file' } });
  await makeUser('six', 'in-settings');
  expect((await layer.eraseUser('six')).files).toBe(0);
  await layer.saveObject({ id: 'frame', properties: { mediaIds: ['in-object'] } });
  await makeUser('one', 'own');
  await makeUser('two', 'shared');
  await makeUser('three', 'shared');
  await makeUser('four', 'in-object');
  await layer.upsertUser({
    id: 'five',
    displayName: 'Five',
    avatarUrl: 'https://elsewhere.example/five.png',
  });
  for (const id of ['one', 'two', 'four', 'five'])
    expect((await layer.eraseUser(id)).files, id).toBe(id === 'one' ? 1 : 0);
  expect(await listFiles()).toEqual(['in-object', 'in-settings', 'shared', 'url']);
  expect((await client.query('select object_key, is_doomed from loose_objects')).rows).toEqual([
    { object_key: 'files/own', is_doomed: true },
  ]);
  await layer.eraseUser('three');
  expect(await listFiles()).toEqual(['in-object', 'in-settings', 'url']);
  await client.end();
  await postgres.close();
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
