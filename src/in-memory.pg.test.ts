import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeObjects, pickGiven } from '../test/layers.ts';
import { stack, uniqueName } from '../test/support.ts';
import { type AppError, BatchProcessor, CacheManager, PersistenceLayer } from './index.ts';

const MASKED = ['seq', 'lastSeenAt', 'firstSeq', 'durableSeq', 'rev', 'createdAt', 'updatedAt', 'nextCursor'];

/** The same for every run: seqs, times and new ids say only whether they are there. */
function mask(value: unknown): unknown {
  const isNew = (member: string, text: unknown) => member === 'id' && /^[0-9a-f]{8}-/.test(String(text));
  return JSON.parse(
    JSON.stringify(value ?? null, (member, held) =>
      MASKED.includes(member) || isNew(member, held) ? held === null || typeof held : held,
    ),
  );
}

/** Plays the life of a game server. @returns the answers that it gets */
async function play(layer: PersistenceLayer): Promise<unknown[]> {
  const told: unknown[] = [];
  const tell = async (work: () => Promise<unknown>) =>
    told.push(
      await work().catch((error: unknown) => {
        const { code, message, errors } = error as AppError;
        return { code, message, errors };
      }),
    );
  await tell(() => layer.upsertUser({ id: 'ann', displayName: 'Ann', properties: { hat: 1 } }));
  await tell(() => layer.saveObject({ id: 'chair', position: { x: 0.1, y: 5e-324, z: -1e300 } }));
  await tell(() => layer.saveObject({ id: 'a/b' }));
  await tell(() => layer.saveObject({ id: 'large', properties: { text: 'x'.repeat(65_536) } }));
  await tell(() => layer.updateObject('chair', { properties: { a: { b: 1 } } }));
  await tell(() => layer.updateObject('none', { name: 'x' }));
  await tell(() => layer.saveObject({ id: 'chair' }, { precondition: { ifExists: false } }));
  await tell(() => layer.updateObject('chair', { name: 'x' }, { precondition: { ifSeq: [1] } }));
  await tell(() =>
    layer.appendOperations(
      {
        ops: [
          { op: 'put', id: 'lamp', name: 'ü𝄞' },
          { op: 'delete', id: 'none' },
          { op: 'move', ids: ['lamp', 'none'], position: [1, 2, 3, 4, 5, 6] },
          { op: 'user.patch', id: 'ann', position: { x: 1, y: 2, z: 3 } },
        ],
      },
      { waits: true },
    ),
  );
  for (const text of ['one', 'two', 'three', ''])
    await tell(() => layer.postMessage({ text, userId: 'ann', kind: 'text' }));
  await tell(() => layer.listMessages({ limit: 2 }));
  await tell(() => layer.listObjects({ limit: 1 }));
  await tell(() => layer.listObjects({ limit: 0 }));
  await tell(() => layer.putSpace('hall', { name: 'Hall', settings: { chat: 'off' } }));
  await tell(() => layer.listSpaces({ limit: 10 }));
  await tell(() => layer.saveWorldState(null));
  await tell(() =>
    layer.saveWorldState(
      {
        objects: [{ id: 'sofa', modelId: 'm' }],
        models: [{ id: 'm', name: 'M', url: '/m.glb', sha256: 'ab'.repeat(32), bytes: 12 }],
        media: [{ id: 'v', name: 'V', url: '/v.mp4', contentType: 'video/mp4' }],
      },
      { mode: 'merge' },
    ),
  );
  await tell(() => layer.loadWorldState('main'));
  await tell(() => layer.loadWorldState('main', { include: ['users', 'chat'] }));
  await tell(async () => {
    const lines: unknown[] = [];
    for await (const line of (await layer.streamWorldState()).lines) lines.push(line);
    return lines;
  });
  await tell(() => layer.getSpaceStatistics('main'));
  await tell(() => layer.appendEvents({ events: [{ type: 'wave', userId: 'ann' }] }));
  await tell(() => layer.deleteSpace('hall'));
  await tell(() => layer.loadWorldState('hall'));
  await tell(() => layer.eraseUser('ann'));
  await tell(() => layer.loadWorldState('main'));
  return told;
}

describe('[F6d] worlds in memory', () => {
  const tenantId = uniqueName('memory');
  const layer = new PersistenceLayer({ enabled: false, tenantId });
  const real = new PersistenceLayer({ databaseUrl: stack().databaseUrl, tenantId, poolSize: 2 });
  beforeAll(async () => {
    await Promise.all([layer.connect(), real.connect()]);
  });
  afterAll(() => Promise.all([layer.disconnect(), real.disconnect()]));

  it('[F6e] are empty at the start, and give the answers of a database', async () => {
    expect((await layer.listSpaces()).items).toMatchObject([{ id: 'main' }]);
    expect(await layer.loadWorldState()).toMatchObject({ objects: [], users: [], chat: [] });
    const [inMemory, inDatabase] = [await play(layer), await play(real)];
    const refused = inDatabase.flatMap((answer) =>
      answer instanceof Object && 'code' in answer ? [answer.code] : [],
    );
    expect([inMemory.length, refused]).toEqual([
      29,
      [
        'validation_failed',
        'properties_too_large',
        'not_found',
        'precondition_failed',
        'precondition_failed',
        'validation_failed',
        'validation_failed',
        'validation_failed',
        'not_found',
      ],
    ]);
    expect(inMemory.map(mask)).toEqual(inDatabase.map(mask));
  });

  it('are not loaded for a layer that nobody uses', async () => {
    await new PersistenceLayer({ enabled: false }).disconnect();
  });

  it('take no databaseUrl, and a flag that is true or false', () => {
    const { databaseUrl } = stack();
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: 'validation_failed', message: expect.stringMatching(message) });
    expect(() => new PersistenceLayer({ enabled: false, databaseUrl })).toThrow(
      refused(/^databaseUrl and enabled: false exclude each other/),
    );
    expect(() => new PersistenceLayer({ enabled: false, databaseUrl: '' })).not.toThrow();
    // A program in JavaScript may pass a variable of the environment.
    const text = 'false' as unknown as boolean;
    const isFlag = refused(/^enabled must be true or false/);
    expect(() => new PersistenceLayer({ enabled: text })).toThrow(isFlag);
    expect(() => new CacheManager({ enabled: text })).toThrow(isFlag);
    expect(() => new BatchProcessor(layer, new CacheManager({ enabled: false }), { enabled: text })).toThrow(
      isFlag,
    );
  });

  describe.each([
    ['without a Redis', { enabled: false }],
    ['with a Redis that the cache cannot use', { host: '127.0.0.1', port: 9 }],
  ])('take batches %s', (_, cacheOptions) => {
    it.each([true, false])('[F6f] that are enabled: %s', async (enabled) => {
      const cache = new CacheManager({ tenantId, ...cacheOptions });
      const batches = new BatchProcessor(layer, cache, { enabled, log: { messagesPerMinute: 1 } });
      const [box, author] = [uniqueName('box'), uniqueName('author')];
      const added = [
        batches.add('objectSaves', { objectId: box, updatedBy: author }),
        batches.add('objectUpdates', { objectId: box, position: { x: 2 }, updatedBy: author }),
        batches.add('objectDeletes', { objectId: 'none' }),
        batches.add('chatMessages', { userId: author, text: 'Hello' }),
      ];
      await batches.flush('objectUpdates');
      expect(await Promise.all(added)).toMatchObject([
        { durability: 'committed', status: 'applied' },
        { durability: 'committed', status: 'applied' },
        { durability: 'committed', status: 'unknown_object' },
        { durability: 'committed', messageId: expect.any(String) },
      ]);
      expect(await layer.getObject(box)).toMatchObject({ position: { x: 2 }, createdBy: author });
      const again = batches.add('chatMessages', { userId: author, text: 'Again' });
      await expect(again).rejects.toMatchObject({ code: 'rate_limited' });
      await batches.shutdown();
      expect(batches.getStats()).toMatchObject({ processed: 4, queued: 0, failed: 1, noEffect: 1 });
      await cache.disconnect();
    });
  });

  it('move to a database as a state, and as lines', async () => {
    const [from, to] = ['export', 'import'].map(uniqueName);
    const memory = layer.forTenant(from ?? '', null);
    await memory.connect();
    await memory.saveWorldState({
      objects: makeObjects(50),
      users: [{ id: 'ann', displayName: 'Ann', position: { x: 1, y: 2, z: 3 } }],
      models: [{ id: 'm', name: 'M', url: '/m.glb' }],
    });
    await memory.postMessage({ text: 'Hello', userId: 'ann' });
    const state = await memory.loadWorldState();
    const asFile = JSON.parse(JSON.stringify(state));
    const database = real.forTenant(to ?? '', null);
    await database.connect();
    await database.saveWorldState(asFile);
    await database.putSpace('lines', { name: 'Lines' });
    await database.saveWorldStream((await memory.streamWorldState()).lines, { spaceId: 'lines' });
    for (const spaceId of ['main', 'lines']) {
      const moved = await database.loadWorldState(spaceId);
      expect(moved.objects.map(pickGiven)).toEqual(state.objects.map(pickGiven));
      expect(moved.users.map(({ seq, ...user }) => user)).toEqual(
        state.users.map(({ seq, ...user }) => user),
      );
      expect(moved.models).toEqual(
        state.models.map((model) => ({ ...model, createdAt: expect.any(String) })),
      );
      expect(moved.chat.map(({ text, userId, createdAt }) => [text, userId, createdAt])).toEqual(
        state.chat.map(({ text, userId, createdAt }) => [text, userId, createdAt]),
      );
    }
  });
});

describe('[F6f] flags of a server with a database', () => {
  const { databaseUrl, redisUrl } = stack();
  const { hostname: host, port, password: encoded } = new URL(redisUrl);
  const password = decodeURIComponent(encoded);
  const move = { objectId: 'box', position: { x: 3 } };

  it.each([
    ['neither a cache nor batches', { enabled: false }, false, 'committed'],
    ['batches and no Redis', { enabled: false }, true, 'committed'],
    ['a log in Redis and no cache', { enabled: false, host, port, password }, true, 'queued'],
    ['a Redis, and each write waits for its commit', { host, port, password }, false, 'committed'],
  ])('serves with %s', async (_, cacheOptions, enabled, durability) => {
    const tenantId = uniqueName('flags');
    const persistence = new PersistenceLayer({ databaseUrl, tenantId, poolSize: 2 });
    const cache = new CacheManager({ tenantId, ...cacheOptions });
    const batches = new BatchProcessor(persistence, cache, { enabled });
    try {
      await persistence.connect();
      await persistence.saveObject({ id: 'box' });
      expect(await batches.add('objectUpdates', move)).toMatchObject({ durability });
      expect(await cache.set('t', 'x', 1)).toBe(true);
      expect(await cache.get('t', 'x')).toBe(1);
    } finally {
      await batches.shutdown();
    }
    expect(await persistence.getObject('box')).toMatchObject({ position: { x: 3 } });
    await cache.disconnect();
    expect([await cache.get('t', 'x'), await cache.set('t', 'x', 1)]).toEqual([null, false]);
    await persistence.disconnect();
  });
});
