import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATABASES, makeWorld, openTestMemory } from '../test/layers.ts';
import type { Database } from './postgres/client.ts';
import { spaces } from './postgres/schema/spaces.ts';

const NOT_FOUND = { code: 'not_found' };

describe.each(Object.entries(DATABASES))('what PersistenceLayer holds around a world, on %s', (_, open) => {
  const postgres = open();
  // PGlite takes seconds to open.
  beforeAll(() => postgres.ping());
  afterAll(() => postgres.close());

  it('[L1a] creates, updates and deletes a space, and creates it again empty with rising seqs', async () => {
    const { layer } = await makeWorld(postgres);
    const bounds = { min: { x: -1, y: -1, z: -1 }, max: { x: 1, y: 1, z: 1 } };
    const made = await layer.putSpace('hall', {
      name: 'Hall',
      description: 'd',
      settings: { fog: 0.5 },
      bounds,
    });
    expect(made).toMatchObject({
      created: true,
      space: { id: 'hall', name: 'Hall', description: 'd', settings: { fog: 0.5 }, bounds },
    });
    const renamed = await layer.putSpace('hall', { name: 'Great hall' });
    expect(renamed).toMatchObject({
      created: false,
      space: { name: 'Great hall', settings: {}, bounds: null },
    });
    await layer.saveObject({ id: 'x' }, { spaceId: 'hall' });
    const before = await layer.getSpace('hall');
    await layer.deleteSpace('hall');
    await expect(layer.getSpace('hall')).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.deleteSpace('hall')).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.getObject('x', { spaceId: 'hall' })).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.saveObject({ id: 'y' }, { spaceId: 'hall' })).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.saveWorldState({ objects: [] }, { spaceId: 'hall' })).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.loadWorldState('hall')).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.getSpaceStatistics('hall')).rejects.toMatchObject(NOT_FOUND);
    const again = await layer.putSpace('hall', { name: 'Hall again' });
    expect(again.created).toBe(true);
    expect(again.space.seq).toBeGreaterThan(before.seq);
    expect(await layer.loadWorldState('hall')).toMatchObject({ objects: [], users: [], chat: [] });
  });

  it('counts what a space and a tenant hold', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    await layer.saveWorldState({ objects: [{ id: 'a' }, { id: 'b' }] });
    await layer.saveWorldState({
      objects: [{ id: 'a' }],
      users: [{ id: 'ann', displayName: 'Ann' }],
      models: [{ id: 'm', url: '/m.glb' }],
      chat: [
        { id: 'c', text: 'hi' },
        { id: 'd', text: 'hours ago', createdAt: new Date(Date.now() - 2 * 3_600_000).toISOString() },
        { id: 'e', text: 'long ago', createdAt: '2001-01-01T00:00:00Z' },
      ],
    });
    await layer.saveObject({ id: 'b' });
    await layer.deleteObject('b');
    expect(await layer.getSpaceStatistics()).toMatchObject({
      objects: 1,
      users: 1,
      models: 1,
      media: 0,
      chatMessages: 3,
      durabilityLagMs: 0,
      activity: {
        lastHour: { objectsChanged: 1, messages: 1 },
        lastDay: { objectsChanged: 1, messages: 2 },
      },
    });
    expect(await layer.countTenant()).toEqual({ users: 1, objects: 1, models: 1 });
  });

  it('creates and updates a person, and a state shows it under a new rev', async () => {
    const { layer } = await makeWorld(postgres);
    const before = await layer.getStateVersion();
    const made = await layer.upsertUser({
      id: 'ann',
      displayName: 'Ann',
      avatarUrl: '/a.png',
      properties: { a: 1 },
    });
    expect(made).toMatchObject({ id: 'ann', displayName: 'Ann', avatarUrl: '/a.png', properties: { a: 1 } });
    const renamed = await layer.upsertUser({ id: 'ann', displayName: 'Anna' });
    expect(renamed).toMatchObject({ displayName: 'Anna', avatarUrl: null, createdAt: made.createdAt });
    const after = await layer.getStateVersion();
    expect(after.seq).toBe(before.seq);
    expect(after.rev).toBeGreaterThan(before.rev);
  });

  it('[S3] a state’s version moves with everything that a state shows', async () => {
    const { layer } = await makeWorld(postgres);
    const seen = new Set<string>();
    const changes = [
      () => layer.saveObject({ id: 'a' }),
      () => layer.updateObject('a', { name: 'b' }),
      () => layer.deleteObject('a'),
      () => layer.putSpace('main', { name: 'Renamed', settings: { fog: 1 } }),
      () => layer.upsertUser({ id: 'ann', displayName: 'Ann' }),
      () => layer.saveWorldState({ objects: [], models: [{ id: 'm', url: '/m' }] }, { mode: 'merge' }),
      () => layer.saveWorldState({ objects: [], chat: [{ id: 'c', text: 'hi' }] }),
      () => layer.saveWorldState({ objects: [], users: [{ id: 'ann', displayName: 'Ann' }] }),
    ];
    for (const change of changes) {
      await change();
      const { seq, rev } = await layer.loadWorldState();
      expect(await layer.getStateVersion()).toEqual({ seq, rev });
      seen.add(`${seq}.${rev}`);
    }
    expect(seen.size).toBe(changes.length);
  });

  it('[T1b] never shows one tenant what is another’s', async () => {
    const [mine, theirs] = [await makeWorld(postgres), await makeWorld(postgres)];
    await theirs.layer.saveObject({ id: 'secret' });
    await theirs.layer.putSpace('vault', { name: 'Vault' });
    await expect(mine.layer.getObject('secret')).rejects.toMatchObject(NOT_FOUND);
    await expect(mine.layer.getSpace('vault')).rejects.toMatchObject(NOT_FOUND);
    await expect(mine.layer.deleteSpace('vault')).rejects.toMatchObject(NOT_FOUND);
    expect((await mine.layer.listSpaces()).items.map(({ id }) => id)).toEqual(['main']);
    await mine.layer.saveWorldState({ objects: [] });
    expect((await theirs.layer.loadWorldState()).objects).toHaveLength(1);
  });

  it('[T1b] shows a query without conditions only the rows of its tenant', async () => {
    const [mine] = [await makeWorld(postgres), await makeWorld(postgres)];
    const [rows] = await postgres.inTenant(mine.tenantId, (db) => [
      db.select({ tenantId: spaces.tenantId, role: sql<string>`current_user` }).from(spaces),
    ]);
    expect(rows).toEqual([{ tenantId: mine.tenantId, role: 'worldkeep_app' }]);
  });
});

describe('a Postgres in memory', () => {
  const postgres = openTestMemory();
  beforeAll(() => postgres.ping());

  it('ends a transaction that fails, whether Postgres or this process refuses it', async () => {
    const { layer, tenantId } = await makeWorld(postgres);
    const failures = [
      (db: Database) => db.execute(sql`SELECT 1 / 0`),
      () => Promise.reject(new Error('This process refuses it.')),
    ];
    for (const fail of failures) {
      const failed = postgres.inTenant(tenantId, (db) => [db.delete(spaces), fail(db)]);
      await expect(failed).rejects.toThrow();
      expect(await layer.getSpace('main')).toMatchObject({ id: 'main' });
      await layer.saveObject({ id: 'after' });
    }
  });
});
