import { createHash } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATABASES, makeApiKeys, makeObjects, makeWorld } from '../../test/layers.ts';
import { makeInput, makeLogSpace } from '../../test/log-space.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { DirectLog } from '../log/direct-log.ts';
import { createAssetStore } from '../postgres/asset-store.ts';
import { createAuditStore } from '../postgres/audit-store.ts';
import type { Caller, Postgres } from '../postgres/client.ts';
import { createDrainStore } from '../postgres/drain-store.ts';
import { openPg } from '../postgres/pg.ts';
import { createSessionStore } from '../postgres/session-store.ts';
import { createUpkeepStore } from '../postgres/upkeep-store.ts';
import { LIMITS } from '../world/limits.ts';
import type { LogOperation } from '../world/operation.ts';
import { planBatch } from '../world/plan-batch.ts';
import { Audit } from './audit.ts';
import type { AuditEntry, AuditFilter } from './audit-stores.ts';

type Logged = Awaited<ReturnType<typeof makeLogSpace>>;

/** Entries in their order. */
async function readAudit(
  postgres: Postgres,
  tenantId: string,
  filter: AuditFilter = {},
): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for await (const line of await new Audit(createAuditStore(postgres)).readLines(tenantId, filter))
    if (line.kind === 'entry') entries.unshift(line);
  return entries;
}

/** Describes entries in short: action, object, old and new content. */
async function describeAudit(postgres: Postgres, tenantId: string, filter: AuditFilter): Promise<unknown[]> {
  const entries = await readAudit(postgres, tenantId, filter);
  return entries.map(({ action, objectId, old, new: now }) => [action, objectId, old, now]);
}

const PLACE = {
  ...{ position_x: 0, position_y: 0, position_z: 0, rotation_x: 0, rotation_y: 0, rotation_z: 0 },
  ...{ rotation_w: 1, scale_x: 1, scale_y: 1, scale_z: 1 },
};
const PLAIN = { name: null, model_id: null, parent_id: null, properties: {}, ...PLACE };

/** Applies entries of a log, as a drain does. */
async function applyLog(
  { store, address, incarnation, cursor }: Logged,
  entries: { actor: string | null; requestId?: string; ops: LogOperation[] }[],
  apart: { objects?: string[] } = {},
): Promise<void> {
  const logged = entries.map((entry, i) => ({
    ...{ seq: cursor + 1 + i, prev: cursor + i, waits: false },
    ...entry,
  }));
  const plan = planBatch(logged, new Map(), {
    rowsMax: 10_000,
    apart: { objects: new Set(apart.objects), users: new Set(), messages: new Set() },
  });
  const outcome = await store.applyBatch(address, {
    ...{ ...plan, incarnation, from: cursor, to: cursor + logged.length, incidents: [], origins: logged },
  });
  expect(outcome.status).toBe('applied');
}

describe.each(Object.entries(DATABASES))('the audit on %s', (_, openDatabase) => {
  const postgres = openDatabase();
  // A Postgres in memory takes long to open.
  beforeAll(() => postgres.ping(), 120_000);
  afterAll(() => postgres.close());

  it('[T4a] has each change of an object, with what changed', async () => {
    const { layer, tenantId } = await makeWorld(postgres);
    await layer.saveObject({ id: 'chair', name: 'Chair', properties: { a: 1, b: { c: 2 }, d: 3 } });
    await layer.updateObject('chair', { name: 'Seat', properties: { a: 9, b: { e: 4 }, d: null } });
    await layer.updateObject('chair', { properties: { a: 9 } });
    await layer.saveObject({ id: 'chair', modelId: 'm' });
    await layer.deleteObject('chair');
    await expect(layer.deleteObject('chair')).rejects.toMatchObject({ code: 'not_found' });
    const was = { name: 'Seat', properties: { a: 9, b: { c: 2, e: 4 } } };
    expect(await describeAudit(postgres, tenantId, { table: 'world_objects' })).toEqual([
      ['insert', 'chair', null, { ...PLAIN, name: 'Chair', properties: { a: 1, b: { c: 2 }, d: 3 } }],
      [
        'update',
        'chair',
        { name: 'Chair', properties: { a: 1, b: { c: 2 }, d: 3 } },
        { name: 'Seat', properties: { a: 9, b: { c: 2, e: 4 } } },
      ],
      ['update', 'chair', { ...was, model_id: null }, { name: null, model_id: 'm', properties: {} }],
      ['delete', 'chair', { ...PLAIN, model_id: 'm' }, null],
    ]);
    for (const entry of await readAudit(postgres, tenantId, { table: 'world_objects' }))
      expect(entry).toMatchObject({ actor: 'tester', spaceId: 'main', userId: null, isErased: false });
  });

  it('[T4b] has no moves, unless they are asked for', async () => {
    const { layer, tenantId } = await makeWorld(postgres);
    const changes = async (table: string) =>
      (await describeAudit(postgres, tenantId, { table })).filter((row) => (row as string[])[0] === 'update');
    const move = async (x: number) => {
      await layer.updateObject('o', { position: { x }, scale: { y: x } });
      await layer.appendOperations({
        ops: [
          { op: 'move', ids: ['p'], rotation: [0, 1, 0, 0] },
          { op: 'user.patch', id: 'ann', position: { x, y: 0, z: 0 } },
          { op: 'patch', id: 'p', position: { x }, name: `moved ${x}` },
        ],
      });
    };
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    for (const id of ['o', 'p']) await layer.saveObject({ id });
    await layer.appendOperations({ ops: [{ op: 'user.patch', id: 'ann' }] });
    expect(await describeAudit(postgres, tenantId, { table: 'space_members' })).toEqual([
      ['insert', 'ann', null, { role: 'viewer', properties: {} }],
    ]);
    await move(2);
    const named = ['update', 'p', { name: null }, { name: 'moved 2' }];
    expect(await changes('world_objects')).toEqual([named]);
    expect(await changes('space_members')).toEqual([]);

    layer.useLog({ log: new DirectLog(createDrainStore(postgres, { auditsMoves: true }), Date.now) });
    await move(3);
    expect(await changes('world_objects')).toEqual([
      named,
      ['update', 'o', { position_x: 2, scale_y: 2 }, { position_x: 3, scale_y: 3 }],
      ['update', 'p', { name: 'moved 2', position_x: 2 }, { name: 'moved 3', position_x: 3 }],
    ]);
    expect(await changes('space_members')).toEqual([['update', 'ann', { position_x: 2 }, { position_x: 3 }]]);
  });

  it('[T4a] has people, members, sessions, keys, models and spaces', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    await layer.upsertUser({ id: 'ann', displayName: 'Anna' });
    await layer.upsertUser({ id: 'ann', displayName: 'Anna' });
    const ann = { display_name: 'Ann', avatar_url: null, properties: {} };
    expect(await describeAudit(postgres, tenantId, { table: 'users' })).toEqual([
      ['insert', 'ann', null, ann],
      ['update', 'ann', { display_name: 'Ann' }, { display_name: 'Anna' }],
    ]);

    const sessions = createSessionStore(postgres);
    const [at, expiresAt] = [new Date().toISOString(), '2100-01-01T00:00:00+00:00'];
    for (const [id, role] of [
      ['s1', null],
      ['s2', 'owner'],
    ] as const)
      await sessions.mintSession({ tenantId, id, spaceId, userId: 'ann', role, createdAt: at, expiresAt });
    await sessions.touchSession(tenantId, 's1', at);
    await sessions.endSession(tenantId, 's1', at);
    const session = { role: 'viewer', expires_at: expiresAt, ended_at: null };
    expect(await describeAudit(postgres, tenantId, { table: 'sessions' })).toEqual([
      ['insert', 's1', null, session],
      ['insert', 's2', null, { ...session, role: 'owner' }],
      ['update', 's1', { ended_at: null }, { ended_at: expect.stringContaining(at.slice(0, 19)) }],
    ]);
    const [, raised] = await readAudit(postgres, tenantId, { table: 'space_members' });
    expect(raised).toMatchObject({ action: 'update', userId: 'ann', spaceId, old: { role: 'viewer' } });

    const keys = makeApiKeys(postgres);
    const { id, secret } = await keys.issue(tenantId, { scopes: ['read'] });
    await keys.revoke(tenantId, id);
    expect(await describeAudit(postgres, tenantId, { table: 'api_keys' })).toEqual([
      ['insert', id, null, { scopes: ['read'], expires_at: null, revoked_at: null }],
      ['update', id, { revoked_at: null }, { revoked_at: expect.any(String) }],
    ]);
    const hash = createHash('sha256').update(secret).digest('hex');
    const text = JSON.stringify(await readAudit(postgres, tenantId));
    for (const secretText of [secret, secret.slice(-43), hash]) expect(text).not.toContain(secretText);

    const assets = createAssetStore(postgres);
    await assets.addUrl(tenantId, { kind: 'model', id: 'm', name: 'M', url: 'https://m.example/m.glb' });
    await assets.deleteAsset(tenantId, 'model', 'm');
    await assets.addUrl(tenantId, { kind: 'media', id: 'i', name: 'I', url: 'https://m.example/i.png' });
    const model = expect.objectContaining({ name: 'M', url: 'https://m.example/m.glb' });
    expect(await describeAudit(postgres, tenantId, { table: 'uploaded_models' })).toEqual([
      ['insert', 'm', null, model],
      ['delete', 'm', model, null],
    ]);
    expect(await describeAudit(postgres, tenantId, { table: 'media_assets' })).toMatchObject([
      ['insert', 'i', null, { name: 'I' }],
    ]);

    await layer.putSpace('hall', { name: 'Hall', settings: { a: 1 } });
    await layer.putSpace('hall', { name: 'Lobby', settings: { a: 1 } });
    await layer.putSpace('hall', { name: 'Lobby', settings: { a: 1 } });
    await layer.saveObject({ id: 'lamp' }, { spaceId: 'hall' });
    await layer.postMessage({ text: 'x', userId: 'ann' }, { spaceId: 'hall' });
    await layer.deleteSpace('hall');
    await layer.putSpace('hall', { name: 'Again' });
    const hall = { name: 'Hall', description: null, settings: { a: 1 }, bounds: null };
    expect(await describeAudit(postgres, tenantId, { table: 'spaces', space: 'hall' })).toEqual([
      ['insert', 'hall', null, hall],
      ['update', 'hall', { name: 'Hall' }, { name: 'Lobby' }],
      ['delete', 'hall', { ...hall, name: 'Lobby' }, null],
      ['insert', 'hall', null, { ...hall, name: 'Lobby' }],
      ['update', 'hall', { name: 'Lobby', settings: { a: 1 } }, { name: 'Again', settings: {} }],
    ]);
    // The rows of a deleted space are cleaned up: nobody deletes them.
    const gone = await readAudit(postgres, tenantId, { space: 'hall' });
    expect(gone.filter(({ action, table }) => action === 'delete' && table !== 'spaces')).toEqual([]);
    expect(await describeAudit(postgres, tenantId, { table: 'tenants' })).toEqual([
      ['insert', tenantId, null, {}],
    ]);
  });

  it('[T4c] names a message and its author, and never its text', async () => {
    const { layer, tenantId } = await makeWorld(postgres);
    const { message } = await layer.postMessage({ text: 'the secret words', userId: 'ann', kind: 'shout' });
    await layer.appendOperations({ ops: [{ op: 'chat.post', text: 'more secret words' }] });
    await layer.deleteMessage(message.id);
    const entries = await readAudit(postgres, tenantId, { table: 'chat_messages' });
    expect(entries).toMatchObject([
      { action: 'insert', objectId: message.id, userId: 'ann', actor: 'tester', new: { kind: 'shout' } },
      { action: 'insert', userId: null, new: { kind: 'text' } },
      {
        action: 'delete',
        objectId: message.id,
        userId: 'ann',
        actor: 'tester',
        old: { kind: 'shout' },
        new: null,
      },
    ]);
    expect(JSON.stringify(await readAudit(postgres, tenantId))).not.toContain('secret words');
  });

  it('[T4d] has a replaced world as one entry, and each object of a merged one', async () => {
    const { layer, tenantId } = await makeWorld(postgres);
    const objects = makeObjects(50);
    await layer.saveWorldState({ objects });
    await layer.saveWorldState({ objects: objects.slice(0, 2) });
    const { seq } = await layer.saveWorldState(
      { objects: [{ id: 'new' }, { ...objects[0], name: 'Other' }] },
      { mode: 'merge' },
    );
    const entries = (await readAudit(postgres, tenantId)).filter(({ table }) => table !== 'users');
    const replaced = { action: 'replace', table: 'spaces', spaceId: 'main', actor: 'tester', userId: null };
    // One statement inserts and updates: its entries have no order.
    const merged = entries.splice(-2).toSorted((a, b) => a.action.localeCompare(b.action));
    expect([...entries.slice(-2), ...merged]).toMatchObject([
      { ...replaced, old: { seq: expect.any(Number) }, new: { seq: expect.any(Number) } },
      replaced,
      ...[{ action: 'insert', objectId: 'new' }],
      { action: 'update', objectId: objects[0]?.id, old: { name: 'Object 0' }, new: { name: 'Other' } },
    ]);
    expect(entries.at(-1)?.new?.seq).toBeLessThan(seq);
    expect(entries.filter(({ table }) => table === 'world_objects')).toEqual([]);
  });

  it('[T4e] names author and request of each entry of a batch; of several entries, the last that did more than move', async () => {
    const space = await makeLogSpace(postgres);
    const { address, world } = space;
    for (const id of ['ann', 'bob'])
      await world.upsertUser(address.tenantId, { id, displayName: id, avatarUrl: null, properties: {} });
    const put = (id: string): LogOperation => ({ op: 'put', id });
    await applyLog(space, [{ actor: 'ann', requestId: 'r1', ops: ['a', 'b', 'c', 'd'].map(put) }]);
    space.cursor += 1;
    const move: LogOperation = { op: 'patch', id: 'a', position: { x: 1 } };
    await applyLog(
      space,
      [
        { actor: 'ann', requestId: 'r2', ops: [{ op: 'patch', id: 'a', name: 'A' }] },
        { actor: 'bob', requestId: 'r3', ops: [{ op: 'delete', id: 'b' }] },
        { actor: null, ops: [move, { op: 'user.patch', id: 'ann', properties: { hat: 1 } }] },
        { actor: 'bob', requestId: 'r4', ops: [{ op: 'delete', id: 'c' }, put('e')] },
        { actor: 'ann', requestId: 'r5', ops: [put('c'), { op: 'patch', id: 'd', name: 'D' }] },
        { actor: 'ann', ops: [{ op: 'user.patch', id: 'ann', position: { x: 1, y: 0, z: 0 } }] },
        {
          actor: 'bob',
          requestId: 'r6',
          ops: [{ op: 'chat.post', id: 'm', userId: null, text: 't', kind: 'k' }],
        },
        { actor: 'ann', requestId: 'r7', ops: [{ op: 'chat.delete', id: 'm' }] },
        { actor: 'ann', requestId: 'r8', ops: [{ op: 'patch', id: 'd', properties: { p: 1 } }] },
        { actor: 'bob', requestId: 'r9', ops: [{ op: 'delete', id: 'd' }] },
      ],
      { objects: ['d'] },
    );
    space.cursor += 10;
    const posted = 'n';
    await applyLog(space, [
      {
        actor: 'ann',
        requestId: 'r10',
        ops: [{ op: 'chat.post', id: posted, userId: 'ann', text: 't', kind: 'k' }],
      },
    ]);
    space.cursor += 1;
    await applyLog(space, [{ actor: 'bob', requestId: 'r11', ops: [{ op: 'chat.delete', id: posted }] }]);
    const entries = await readAudit(postgres, address.tenantId, { space: address.spaceId });
    const rows = entries
      .filter(({ table }) => table !== 'spaces')
      .map(({ action, objectId, actor, requestId }) => `${action} ${objectId} ${actor} ${requestId}`);
    expect(rows.toSorted()).toEqual(
      [
        ...['a', 'b', 'c', 'd'].map((id) => `insert ${id} ann r1`),
        'update a ann r2',
        'delete b bob r3',
        'delete c ann r5',
        'insert c ann r5',
        'insert e bob r4',
        'insert ann null null',
        'insert m bob r6',
        'delete m ann r7',
        'update d ann r5',
        'update d ann r8',
        'delete d bob r9',
        'insert n ann r10',
        'delete n bob r11',
      ].toSorted(),
    );
  });

  it('[T4e] takes a batch of 5,000 objects', async () => {
    const space = await makeLogSpace(postgres);
    const rows = 5_000;
    const objects = Array.from({ length: rows }, (_, i) => ({
      ...({ kind: 'put', id: `o${i}`, seq: space.cursor + 1 + i, actor: 'ann', createdBy: 'ann' } as const),
      ...{ createdSeq: space.cursor + 1 + i, isNew: false, object: makeInput(`o${i}`) },
    }));
    const origins = objects.map(({ seq }, i) => ({ seq, actor: `p${i % 7}`, requestId: `r${i}` }));
    await space.apply({ objects, origins, to: space.cursor + rows });
    const patches = objects.map(({ id }, i) => ({
      ...({ kind: 'patch', id, seq: space.cursor + 1 + i, actor: 'ann' } as const),
      patches: [{ i }],
    }));
    await space.apply({
      ...{ objects: patches, to: space.cursor + rows },
      origins: patches.map(({ seq }, i) => ({ seq, actor: `q${i % 7}`, requestId: `s${i}` })),
    });
    const audit = new Audit(createAuditStore(postgres));
    for (const [author, action] of [
      ['p3', 'insert'],
      ['q3', 'update'],
    ]) {
      const { tenantId } = space.address;
      const page = await audit.list(tenantId, { actor: author as string }, { limit: 1_000 });
      expect(page.items).toHaveLength(LIMITS.auditPageRowsMax);
      const entries = await readAudit(postgres, tenantId, { actor: author });
      expect(entries).toHaveLength(Math.ceil((rows - 3) / 7));
      for (const entry of entries) {
        const i = Number(entry.objectId?.slice(1));
        expect([i % 7, entry.action, entry.requestId]).toEqual([
          ...[3, action, `${action === 'insert' ? 'r' : 's'}${i}`],
        ]);
        if (action === 'update') expect(entry.new).toEqual({ properties: { i } });
      }
    }
  });

  it('[T4f] shows each tenant its own entries, filtered and page by page', async () => {
    const [{ layer, tenantId }, other] = [await makeWorld(postgres), await makeWorld(postgres)];
    for (let i = 0; i < 5; i++)
      await layer.saveObject({ id: `o${i}`, properties: { text: 'x'.repeat(60_000) } });
    await layer.putSpace('hall', { name: 'Hall' });
    await layer.saveObject({ id: 'o1' }, { spaceId: 'hall' });
    const audit = new Audit(createAuditStore(postgres));
    const all = await readAudit(postgres, tenantId);
    const seen: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await audit.list(tenantId, {}, { limit: 3, ...(cursor && { cursor }) });
      expect(page.items.length).toBeLessThanOrEqual(3);
      seen.unshift(...page.items.map(({ id }) => id).toReversed());
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(all.map(({ id }) => id));
    const count = async (filter: AuditFilter) => (await audit.list(tenantId, filter)).items.length;
    expect(await count({ space: 'hall', table: 'world_objects' })).toBe(1);
    expect(await count({ object: 'o1' })).toBe(2);
    expect(await count({ actor: 'tester', object: 'o2' })).toBe(1);
    expect(await count({ actor: 'nobody' })).toBe(0);
    const [today, tomorrow] = [0, 86_400_000].map((ms) =>
      new Date(Date.now() + ms).toISOString().slice(0, 10),
    );
    expect(await count({ from: today, to: tomorrow })).toBe(all.length);
    expect(await count({ from: `${tomorrow}T12:00:00Z` })).toBe(0);
    const last = all.at(-1)?.at ?? '';
    expect(await count({ to: last })).toBeLessThan(all.length);
    expect(await readAudit(postgres, other.tenantId, { object: 'o1' })).toEqual([]);
  });

  it('[T4f] ends a page by its bytes, with one entry at least', async () => {
    const { layer, tenantId } = await makeWorld(postgres);
    const text = 'x'.repeat(60_000);
    const rows = Math.ceil(LIMITS.auditPageBytesMax / text.length) + 5;
    for (let i = 0; i < rows; i++)
      await layer.saveObject({ id: `o${String(i).padStart(3, '0')}`, properties: { text } });
    const audit = new Audit(createAuditStore(postgres));
    const page = await audit.list(tenantId, { table: 'world_objects' }, { limit: 1_000 });
    expect(page.items.length).toBeLessThan(rows);
    expect(JSON.stringify(page).length).toBeLessThan(LIMITS.auditPageBytesMax + 2 * text.length);
    expect(page.nextCursor).not.toBeNull();
    expect(await readAudit(postgres, tenantId, { table: 'world_objects' })).toHaveLength(rows);
  });
});

describe('the caller of a transaction', () => {
  it('[T4e] is who the driver says, of changes that no log holds', async () => {
    let caller: Caller = { actor: 'key_1', requestId: 'r1' };
    const { databaseUrl } = stack();
    const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: 20_000, readCaller: () => caller });
    try {
      const { layer, tenantId } = await makeWorld(postgres);
      await layer.upsertUser({ id: 'ann', displayName: "Ann's" });
      caller = { actor: null, requestId: null };
      await layer.upsertUser({ id: 'bob', displayName: 'Bob' });
      // A batch has its own authors, and not the process that drains.
      caller = { actor: 'drainer', requestId: 'drain' };
      await layer.saveObject({ id: 'o' });
      const entries = await readAudit(postgres, tenantId);
      expect(entries.slice(-3).map(({ table, actor, requestId }) => [table, actor, requestId])).toEqual([
        ['users', 'key_1', 'r1'],
        ['users', null, null],
        ['world_objects', 'tester', null],
      ]);
    } finally {
      await postgres.close();
    }
  });
});

describe('the rows of the audit', () => {
  let database: OwnDatabase;
  beforeAll(async () => {
    database = await openOwnDatabase();
  });
  afterAll(() => database?.close());

  /** Runs statements as the runtime role, in one transaction of a tenant. */
  async function asRuntime(tenantId: string, ...statements: string[]): Promise<string> {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      await client.query('begin');
      await client.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
      for (const statement of statements) await client.query(statement);
      await client.query('commit');
      return 'done';
    } catch (error) {
      return (error as pg.DatabaseError).code ?? '';
    } finally {
      await client.end();
    }
  }
  const today = () =>
    `day_partitions.audit_entries_${new Date().toISOString().slice(0, 10).replaceAll('-', '')}`;

  it('[T4g] are read by the runtime role, and neither written, changed, removed nor seen by other tenants', async () => {
    const { layer, tenantId } = await makeWorld(database.postgres);
    await layer.saveObject({ id: 'o' });
    const before = await readAudit(database.postgres, tenantId);
    expect(before.length).toBeGreaterThan(1);
    for (const table of ['audit_entries', today()])
      for (const statement of [
        `update ${table} set actor = 'nobody'`,
        `delete from ${table}`,
        `truncate ${table}`,
        `drop table ${table}`,
        `alter table ${table} disable row level security`,
        `insert into ${table} (tenant_id, table_name, action) values ('${tenantId}', 'spaces', 'insert')`,
      ])
        expect(await asRuntime(tenantId, statement), statement).toBe('42501');
    for (const statement of [
      `select from ${today()}`,
      'alter table world_objects disable trigger all',
      "set session_replication_role = 'replica'",
      "select nextval('audit_ids')",
      "select add_day('audit_entries', '2001-01-01')",
      "select drop_day('audit_entries', '2999-01-01')",
      'create or replace function audit_retention_days() returns integer language sql as $$ select 0 $$',
      'set role worldkeep_jobs',
    ])
      expect(await asRuntime(tenantId, statement), statement).toBe('42501');
    expect(await readAudit(database.postgres, tenantId)).toEqual(before);
    expect(await readAudit(database.postgres, uniqueName('other'))).toEqual([]);
  });

  it('[T4e] name the role that is logged in, where nobody is named', async () => {
    const { layer, tenantId } = await makeWorld(database.postgres);
    await layer.saveObject({ id: 'o' });
    const change = `update world_objects set position_x = 7, name = 'By hand'`;
    expect(await asRuntime(tenantId, change)).toBe('done');
    await database.admin.query("update users set display_name = 'x' where tenant_id = $1", [tenantId]);
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    // Whatever the session says: it is not the runtime role.
    await database.admin.query("select set_config('app.actor', 'ann', false)");
    await database.admin.query("update users set display_name = 'x' where tenant_id = $1", [tenantId]);
    const entries = await readAudit(database.postgres, tenantId);
    const { rows } = await database.admin.query<{ name: string }>('select session_user as name');
    expect(entries.map(({ table, actor, old, new: now }) => [table, actor, old, now]).slice(-3)).toEqual([
      [
        ...['world_objects', 'role/worldkeep_app'],
        { name: null, position_x: 0 },
        { name: 'By hand', position_x: 7 },
      ],
      ['users', null, null, expect.any(Object)],
      ['users', `role/${rows[0]?.name}`, { display_name: 'Ann' }, { display_name: 'x' }],
    ]);
  });

  it('[T4e] name the caller where a member of the runtime role runs the server', async () => {
    const { admin } = database;
    const role = uniqueName('member').replaceAll('-', '_');
    await admin.query(`create role ${role} login password 'long-enough' in role worldkeep_app`);
    const databaseUrl = Object.assign(new URL(database.url), {
      username: role,
      password: 'long-enough',
    }).href;
    const readCaller = () => ({ actor: 'key_2', requestId: 'r2' });
    const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: 20_000, readCaller });
    try {
      const { layer, tenantId } = await makeWorld(postgres);
      await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
      expect(await readAudit(postgres, tenantId, { table: 'users' })).toMatchObject([
        { actor: 'key_2', requestId: 'r2' },
      ]);
    } finally {
      await postgres.close();
      await admin.query(`drop role ${role}`);
    }
  });

  it('[T4h] go into a day that is missing, also where many writers need it at the same time', async () => {
    const { layer, tenantId } = await makeWorld(database.postgres);
    await database.admin.query(`drop table ${today()}`);
    const writers = Array.from({ length: 3 }, (_, i) => layer.upsertUser({ id: `u${i}`, displayName: 'x' }));
    await Promise.all(writers);
    expect(await readAudit(database.postgres, tenantId, { table: 'users' })).toHaveLength(3);
    // Somebody holds the parent for longer than one try waits.
    await database.admin.query(`drop table ${today()}`);
    await database.admin.query('begin');
    await database.admin.query('lock table audit_entries in share update exclusive mode');
    const writing = layer.upsertUser({ id: 'late', displayName: 'x' });
    const isWaiting = async () => {
      const { rowCount } = await database.admin.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      );
      return rowCount;
    };
    await expect.poll(isWaiting, { interval: 5, timeout: 10_000 }).toBeGreaterThan(0);
    await database.admin.query('commit');
    await writing;
    expect(await readAudit(database.postgres, tenantId, { table: 'users' })).toHaveLength(1);
  });

  it('[T4i] go by days after the time that the owner sets, 400 days at first', async () => {
    const { admin, postgres } = database;
    const store = createUpkeepStore(postgres);
    const days = async () =>
      (
        await admin.query<{ age: number }>(
          `select current_date - to_date(right(relname, 8), 'YYYYMMDD') as age from pg_class
          where relnamespace = 'day_partitions'::regnamespace and relkind = 'r' and relname like 'audit_entries_%' order by age`,
        )
      ).rows.map(({ age }) => age);
    await admin.query(
      "select add_day('audit_entries', (now() at time zone 'UTC')::date - age) from unnest('{30,400,401,500}'::integer[]) as age",
    );
    const drop = async () => {
      const told = [];
      do told.push(await store.dropAuditDay());
      while (told.at(-1) === 'dropped');
      return told;
    };
    expect(await drop()).toEqual(['dropped', 'dropped', 'none']);
    expect((await days()).slice(-2)).toEqual([30, 400]);
    await admin.query(
      'create or replace function audit_retention_days() returns integer language sql immutable as $$ select 20 $$',
    );
    expect(await drop()).toEqual(['dropped', 'dropped', 'none']);
    await admin.query(
      'create or replace function audit_retention_days() returns integer language sql immutable as $$ select 400 $$',
    );
    expect((await days()).at(-1)).toBe(0);
    await admin.query(
      `drop table day_partitions.${(await admin.query("select relname from pg_class where relname like 'audit_entries_%' and relkind = 'r' order by 1 desc limit 1")).rows[0].relname}`,
    );
    expect([await store.addAuditDays(), await store.addAuditDays()]).toEqual([1, 0]);
    expect((await days())[0]).toBe(-7);
  });

  it('[T4a] are not written for what jobs clean up', async () => {
    const { admin, postgres } = database;
    const { layer, tenantId } = await makeWorld(postgres);
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    await layer.postMessage({ text: 'x', userId: 'ann' });
    await layer.saveObject({ id: 'o' });
    await layer.deleteSpace('main');
    const before = await readAudit(postgres, tenantId);
    await admin.query("update spaces set deleted_at = now() - interval '30 days' where tenant_id = $1", [
      tenantId,
    ]);
    const store = createUpkeepStore(postgres);
    const { found } = await store.listDeletedSpaces(new Date(), tenantId, 10);
    const space = found.find((deleted) => deleted.tenantId === tenantId);
    if (space === undefined) throw new Error('the space is not deleted');
    expect(await store.purgeSpace(space, new Date(), 1_000)).toMatchObject({ status: 'gone' });
    expect(await readAudit(postgres, tenantId)).toEqual(before);
  });

  it('[T4f] of one object are found by an index, without a whole day of a tenant', async () => {
    const { admin, postgres } = database;
    const { layer, tenantId } = await makeWorld(postgres);
    await layer.saveWorldState({ objects: makeObjects(3_000) });
    await admin.query(
      `insert into audit_entries (tenant_id, table_name, action, space_id, object_id, new)
      select $1, 'world_objects', 'insert', 'main', 'o' || i % 500, '{}' from generate_series(1, 20000) i`,
      [tenantId],
    );
    await admin.query('analyze audit_entries');
    const { rows } = await admin.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, timing off) select * from audit_entries where tenant_id = '${tenantId}' and object_id = 'o7'
      order by at desc, audit_id desc limit 100`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Index Scan Backward using \S*object/);
    expect(plan).not.toMatch(/Rows Removed by Filter/);
  });
});
