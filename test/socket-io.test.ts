import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { BatchProcessor, CacheManager, PersistenceLayer } from 'worldkeep';
import { stack, uniqueName } from './support.ts';

interface Reply {
  ok: boolean;
  [member: string]: unknown;
}
type Heard = [event: string, data: Record<string, unknown>];

let persistence: PersistenceLayer;
let cache: CacheManager;
let batchProcessor: BatchProcessor;
let server: Server;
let serveWorld: (io: unknown, classes: object) => { close(): Promise<void> };
let url: string;
let ann: Socket;
let bob: Socket;
/** The events that each client received from the others. */
let heardByAnn: Heard[];
let heardByBob: Heard[];

beforeAll(async () => {
  const { databaseUrl, redisUrl } = stack();
  const { hostname: host, port, password } = new URL(redisUrl);
  const tenantId = uniqueName('socket-io');
  persistence = new PersistenceLayer({ databaseUrl, tenantId, poolSize: 4 });
  cache = new CacheManager({ host, port, password: decodeURIComponent(password), tenantId });
  batchProcessor = new BatchProcessor(persistence, cache, { flushMs: 5, log: { commitsAlways: true } });
  await persistence.connect();
  const httpServer: HttpServer = createServer();
  server = new Server(httpServer);
  // The example is JavaScript, as its readers write it.
  ({ serveWorld } = await import(resolve(import.meta.dirname, '../docs/examples/socket-io/world.js')));
  serveWorld(server, { persistence, cache, batchProcessor });
  await once(httpServer.listen(0, '127.0.0.1'), 'listening');
  url = `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`;
  // Ann uses plain HTTP, as behind a proxy without WebSocket.
  ann = io(url, { transports: ['polling'], forceNew: true });
  bob = io(url, { transports: ['websocket'], forceNew: true });
  await Promise.all([ann, bob].map((client) => once(client as never, 'connect')));
  ann.onAny((...heard: Heard) => heardByAnn.push(heard));
  bob.onAny((...heard: Heard) => heardByBob.push(heard));
});
beforeEach(() => {
  heardByAnn = [];
  heardByBob = [];
});
afterAll(async () => {
  for (const client of [ann, bob]) client?.disconnect();
  await server?.close();
  await batchProcessor?.shutdown();
  await cache?.disconnect();
  await persistence?.disconnect();
});

const ask = (client: Socket, event: string, ...args: unknown[]): Promise<Reply> =>
  client.timeout(20_000).emitWithAck(event, ...args);
const load = async () => (await persistence.loadWorldState('main')).objects;
/** Sends Bob a last event after all others. Events that he has not received by then were not sent to him. */
async function settle(): Promise<void> {
  const objectId = uniqueName('last');
  await ask(ann, 'object-create', { objectId });
  await ask(ann, 'object-delete', { objectId });
  const isLast = ([event, data]: Heard) => event === 'object-delete' && data.objectId === objectId;
  await expect.poll(() => heardByBob.some(isLast)).toBe(true);
  heardByBob = heardByBob.filter(([, data]) => data.objectId !== objectId);
}

it('spawns a person: the database has them, and the cache their session', async () => {
  expect(await ask(ann, 'user-spawn', { id: 'ann', displayName: 'Ann' })).toMatchObject({
    ok: true,
    user: { id: 'ann' },
  });
  expect(await persistence.getUser('ann')).toMatchObject({ displayName: 'Ann' });
  expect(await cache.getUserSession('ann')).toEqual({ socketId: ann.id, spawnedAt: expect.any(String) });
});

it('creates, moves and deletes: acknowledges when the database has it, and tells everybody else', async () => {
  const create = { objectId: 'lamp', name: 'Lamp', position: { x: 1, y: 2, z: 3 } };
  expect(await ask(ann, 'object-create', create)).toMatchObject({
    ok: true,
    objectId: 'lamp',
    durability: 'committed',
  });
  const created = await persistence.getObject('lamp');
  expect(created).toMatchObject({ name: 'Lamp', createdBy: 'ann' });
  const move = { objectId: 'lamp', position: { x: 5, y: 0, z: 0 }, properties: { lit: true } };
  // Ann claims to be somebody else, in another space.
  const claims = { ...move, updatedBy: 'bob', spaceId: 'elsewhere' };
  expect(await ask(ann, 'object-move', claims)).toMatchObject({ ok: true, durability: 'committed' });
  expect(await persistence.getObject('lamp')).toMatchObject({ position: { x: 5 }, name: 'Lamp' });
  expect(await ask(ann, 'object-delete', { objectId: 'lamp' })).toMatchObject({ ok: true });
  await expect(persistence.getObject('lamp')).rejects.toMatchObject({ code: 'not_found' });
  await expect.poll(() => heardByBob.length).toBe(3);
  const by = { spaceId: 'main', updatedBy: 'ann' };
  expect(heardByBob).toEqual([
    ['object-create', { ...create, ifSeq: 0, ...by }],
    ['object-move', { ...move, ...by }],
    ['object-delete', { objectId: 'lamp', ...by }],
  ]);
  expect(heardByAnn).toEqual([]);
});

it('gives an object an id if the client gives none', async () => {
  const { objectId } = await ask(ann, 'object-create', { name: 'Nameless' });
  expect(await persistence.getObject(String(objectId))).toMatchObject({ name: 'Nameless' });
});

it('tells only the sender about a refused operation', async () => {
  await ask(ann, 'object-create', { objectId: 'chair', position: { x: 1, y: 1, z: 1 } });
  await settle();
  const before = await load();
  heardByBob = [];
  const refused: [string, unknown][] = [
    ['object-move', { objectId: 'chair', position: { x: Number.NaN, y: 0, z: 0 } }],
    ['object-move', { objectId: 'chair', position: { x: null } }],
    ['object-move', { objectId: 'chair', position: { x: 'far' } }],
    ['object-move', { position: { x: 1 } }],
    ['object-create', { objectId: 'a/b' }],
    ['object-create', { objectId: 'new', colour: 'red' }],
    ['object-delete', {}],
    ['user-spawn', { id: 'a/b', displayName: 'A' }],
  ];
  for (const [event, data] of refused)
    expect([data, await ask(ann, event, data)]).toEqual([
      data,
      expect.objectContaining({ ok: false, code: 'validation_failed', errors: expect.any(Array) }),
    ]);
  await settle();
  expect(heardByBob).toEqual([]);
  expect(await load()).toEqual(before);
});

it('tells only the sender that an operation had no effect', async () => {
  await ask(ann, 'object-create', { objectId: 'table', name: 'Table' });
  await settle();
  heardByBob = [];
  for (const [event, data, code] of [
    ['object-move', { objectId: 'nothing', position: { x: 1 } }, 'unknown_object'],
    ['object-delete', { objectId: 'nothing' }, 'unknown_object'],
    ['object-create', { objectId: 'table', name: 'Another' }, 'conflict'],
  ] as const)
    expect(await ask(ann, event, data)).toMatchObject({ ok: false, code, message: expect.any(String) });
  await settle();
  expect(heardByBob).toEqual([]);
  expect(await persistence.getObject('table')).toMatchObject({ name: 'Table' });
});

it('survives garbage, and answers every message that asks for an answer', async () => {
  const garbage = [null, 'text', 7, [], [[]], { objectId: 'o', properties: 7 }];
  const events = ['user-spawn', 'object-create', 'object-move', 'object-delete'];
  for (const event of [...events, 'world-load', 'no-such-event']) {
    bob.emit(event);
    for (const data of garbage) bob.emit(event, data);
  }
  for (const event of events)
    for (const data of garbage)
      expect(await ask(ann, event, data)).toMatchObject({ ok: false, code: 'validation_failed' });
  // Deeper than the client itself could send.
  const deep = `${'{"a":'.repeat(6_000)}1${'}'.repeat(6_000)}`;
  for (const data of [deep, `{"objectId":"o","properties":${deep}}`, `{"objectId":${deep}}`])
    for (const event of events) bob.io.engine.write(`2["${event}",${data}]`);
  expect(await ask(bob, 'object-move')).toMatchObject({ ok: false });
  expect(await ask(bob, 'object-move', null, 2, 3)).toMatchObject({ ok: false });
  expect(await ask(bob, 'world-load', 'an argument')).toMatchObject({ ok: true });
  await settle();
  expect([heardByBob, (await load()).some(({ id }) => id === 'o')]).toEqual([[], false]);
});

it('writes only to its own space, as the person who spawned', async () => {
  const claims = { spaceId: 'other', updatedBy: 'bob' };
  expect(await ask(ann, 'object-create', { objectId: 'mine', ...claims })).toMatchObject({ ok: true });
  expect(await persistence.getObject('mine')).toMatchObject({ spaceId: 'main', createdBy: 'ann' });
});

it('gives the whole world', async () => {
  const worldState = await persistence.loadWorldState('main');
  expect(await ask(bob, 'world-load')).toEqual({ ok: true, worldState });
});

it('gives a client that comes after a write a world with that write, although its event is over', async () => {
  const before = await persistence.loadWorldState('main');
  for (const objectId of ['early', 'late']) {
    await ask(ann, 'object-create', { objectId });
    const { worldState } = await ask(bob, 'world-load');
    expect(worldState).toMatchObject({
      objects: expect.arrayContaining([expect.objectContaining({ id: objectId })]),
    });
    // A load that began before the write and ended after it leaves this world in the cache.
    await cache.cacheWorldState('main', before, 60);
  }
});

it('answers messages that came before its end, and none after it', async () => {
  const stored = Promise.withResolvers<{ seq: number; durability: string }>();
  const added: unknown[] = [];
  const add = (_: string, { objectId }: { objectId: string }) => {
    added.push(objectId);
    return stored.promise;
  };
  const ending = serveWorld(server.of('/ending'), { persistence, cache, batchProcessor: { add } });
  const client = io(`${url}/ending`, { transports: ['websocket'], forceNew: true });
  await once(client as never, 'connect');
  const first = ask(client, 'object-create', { objectId: 'first' });
  await expect.poll(() => added).toEqual(['first']);
  const closed = ending.close();
  await expect(client.timeout(100).emitWithAck('object-create', { objectId: 'late' })).rejects.toThrow();
  stored.resolve({ seq: 1, durability: 'committed' });
  await closed;
  expect(await first).toEqual({ ok: true, objectId: 'first', seq: 1, durability: 'committed' });
  expect(added).toEqual(['first']);
  client.disconnect();
});
