import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { io, type Socket } from 'socket.io-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BatchProcessor, CacheManager, PersistenceLayer } from 'worldkeep';
import { stack, uniqueName } from './support.ts';

const SERVER = resolve(import.meta.dirname, '../docs/examples/socket-io/server.js');
const USERS = ['ann', 'bob', 'cy', 'dan', 'eve'];
const MOVES = 60;

interface Reply {
  ok: boolean;
  [member: string]: unknown;
}

const tenantId = uniqueName('socket-io');
const redisUrl = new URL(stack().redisUrl);
const redisEnv = {
  REDIS_HOST: redisUrl.hostname,
  REDIS_PORT: redisUrl.port,
  REDIS_PASSWORD: decodeURIComponent(redisUrl.password),
};

let persistence: PersistenceLayer;
let cache: CacheManager;
let batches: BatchProcessor;
let server: ChildProcess;
const lines: string[] = [];
const clients: Socket[] = [];
let observer: Socket;

/** What the example's server holds too, seen from a process beside it. */
beforeAll(async () => {
  const { databaseUrl } = stack();
  const { REDIS_HOST: host, REDIS_PORT: port, REDIS_PASSWORD: password } = redisEnv;
  persistence = new PersistenceLayer({ databaseUrl, tenantId });
  cache = new CacheManager({ host, port, password, tenantId });
  batches = new BatchProcessor(persistence, cache);
  await persistence.connect();
  const objects = ['shared', ...USERS.map((id) => `of-${id}`)].map((id) => ({ id, name: id }));
  await persistence.saveWorldState({ objects });

  server = spawn(process.execPath, [SERVER], {
    env: { ...redisEnv, DATABASE_URL: databaseUrl, DEFAULT_TENANT_ID: tenantId, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => server.kill('SIGKILL'));
  const listening = Promise.withResolvers<number>();
  for (const stream of [server.stdout, server.stderr])
    createInterface({ input: stream as NonNullable<typeof stream> }).on('line', (line) => {
      lines.push(line);
      const port = /"event":"listening","port":(\d+)/.exec(line)?.[1];
      if (port !== undefined) listening.resolve(Number(port));
    });
  const ended = once(server, 'close').then(() => Promise.reject(new Error(lines.join('\n'))));
  ended.catch(() => undefined);
  const url = `http://127.0.0.1:${await Promise.race([listening.promise, ended])}`;
  // One over plain HTTP, as behind a proxy that knows no WebSocket.
  const connect = (i: number) => io(url, { transports: [i === 0 ? 'polling' : 'websocket'], forceNew: true });
  clients.push(...USERS.map((_, i) => connect(i)));
  observer = connect(1);
  // It has what `once` calls, and a narrower type of it.
  await Promise.all([...clients, observer].map((client) => once(client as never, 'connect')));
});
afterAll(async () => {
  for (const client of [...clients, observer]) client?.disconnect();
  server?.kill('SIGKILL');
  await batches?.shutdown();
  await cache?.disconnect();
  await persistence?.disconnect();
});

const ask = (client: Socket, event: string, ...args: unknown[]): Promise<Reply> =>
  client.timeout(20_000).emitWithAck(event, ...args);
/** A move leaves its number in the object, so that each can be looked for, not the last alone. */
const move = (objectId: string, user: string, i: number) => ({
  ...{ objectId, position: { x: i, y: USERS.indexOf(user), z: i / 3 } },
  properties: { [`${user}-${i}`]: i },
});
const readMoves = async () => {
  const { objects } = await persistence.loadWorldState('main');
  return new Map(objects.map(({ id, properties }) => [id, properties]));
};

it('spawns people: they are in Postgres, and what is known of their session is cached', async () => {
  const replies = await Promise.all(
    clients.map((client, i) => ask(client, 'user-spawn', { id: USERS[i], displayName: `The ${USERS[i]}` })),
  );
  for (const [i, reply] of replies.entries()) {
    expect(reply).toMatchObject({ ok: true, user: { id: USERS[i] } });
    expect(await persistence.getUser(USERS[i] ?? '')).toMatchObject({ displayName: `The ${USERS[i]}` });
    expect(await cache.getUserSession(USERS[i] ?? '')).toEqual({
      ...{ socketId: clients[i]?.id, spawnedAt: expect.any(String) },
    });
  }
});

it('goes on when a client sends what is wrong, and tells it', async () => {
  const [client] = clients as [Socket];
  for (const [event, data] of [
    ['user-spawn', null],
    ['user-spawn', { id: 'a/b', displayName: 'A' }],
    ['object-move', null],
    ['object-move', { objectId: 'shared', position: { x: 'far' } }],
  ] as const) {
    client.emit(event, data);
    expect(await ask(client, event, data)).toMatchObject({ ok: false, code: 'validation_failed' });
  }
  client.emit('world-load', 'no function');
});

it('has every move in Postgres that it acknowledged, of clients that move their own and the same', async () => {
  const replies = await Promise.all(
    clients.flatMap((client, n) => {
      const user = USERS[n] ?? '';
      return Array.from({ length: MOVES }, (_, i) =>
        ask(client, 'object-move', move(i % 2 === 0 ? 'shared' : `of-${user}`, user, i)),
      );
    }),
  );
  for (const reply of replies) expect(reply).toMatchObject({ ok: true, durability: expect.any(String) });
  const expected = (user: string, isShared: boolean) =>
    Object.fromEntries(
      Array.from({ length: MOVES }, (_, i) => [`${user}-${i}`, i] as const).filter(
        ([, i]) => (i % 2 === 0) === isShared,
      ),
    );
  // What is queued is shown, and is on its way to Postgres.
  await expect
    .poll(
      async () => {
        const { seq, durableSeq } = await persistence.loadWorldState('main');
        return durableSeq === seq;
      },
      { timeout: 20_000 },
    )
    .toBe(true);
  const kept = await readMoves();
  expect(kept.get('shared')).toEqual(Object.assign({}, ...USERS.map((user) => expected(user, true))));
  for (const user of USERS) expect(kept.get(`of-${user}`)).toEqual(expected(user, false));
  const object = await persistence.getObject('of-bob');
  expect(object).toMatchObject({ position: { x: MOVES - 1, y: 1 }, updatedBy: 'bob' });
});

it('gives the world whole, which goes through the cache and back into Postgres as it was', async () => {
  const worldState = await persistence.loadWorldState('main');
  // The server's own copy may be a second old.
  for (const client of clients)
    await expect.poll(() => ask(client, 'world-load'), { timeout: 10_000 }).toEqual({ ok: true, worldState });
  expect(await cache.cacheWorldState('main', worldState)).toBe(true);
  const cached = await cache.getCachedWorldState('main');
  expect(cached).toEqual(worldState);
  await persistence.saveWorldState(cached);
  const contentOf = ({ objects }: typeof worldState) =>
    objects.map(({ seq, updatedAt, updatedBy, ...content }) => content);
  const again = await persistence.loadWorldState('main');
  expect(contentOf(again)).toEqual(contentOf(worldState));
  expect(again.seq).toBeGreaterThan(worldState.seq);
});

it('loses nothing that was added when SIGTERM ends it in the middle', async () => {
  const seen: { objectId: string; properties: Record<string, number> }[] = [];
  const enough = Promise.withResolvers<void>();
  observer.on('object-move', (data) => {
    // Told to others when it was added, which is before it is stored.
    seen.push(data);
    if (seen.length === 300) enough.resolve();
  });
  const acknowledged: string[] = [];
  let isOver = false;
  const moving = clients.map(async (client, n) => {
    const user = USERS[n] ?? '';
    for (let i = MOVES; !isOver; i++) {
      const name = `${user}-${i}`;
      client.emit(
        'object-move',
        move(`of-${user}`, user, i),
        (reply: Reply) => reply.ok && acknowledged.push(name),
      );
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (i > 2_000) return;
    }
  });
  await enough.promise;
  const exited = once(server, 'close');
  server.kill('SIGTERM');
  const [code] = await exited;
  isOver = true;
  await Promise.all(moving);
  expect([code, lines.filter((line) => !line.startsWith('{'))]).toEqual([0, []]);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ event: 'stopped', queued: 0 });

  const kept = await readMoves();
  const missing = [
    ...seen.flatMap(({ objectId, properties }) =>
      Object.keys(properties).filter((name) => kept.get(objectId)?.[name] === undefined),
    ),
    ...acknowledged.filter((name) => kept.get(`of-${name.split('-')[0]}`)?.[name] === undefined),
  ];
  expect(missing).toEqual([]);
  expect(seen.length).toBeGreaterThanOrEqual(300);
});
