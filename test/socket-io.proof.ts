import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { io, type Socket } from 'socket.io-client';
import { afterEach, expect, it } from 'vitest';
import { PersistenceLayer } from 'worldkeep';
import { findFreePort } from '../dev/ports.ts';
import { stack, uniqueName } from './support.ts';

const SERVER = resolve(import.meta.dirname, '../docs/examples/socket-io/server.js');
const CLIENTS = 20;
const TEST_MS_MAX = 180_000;
const WAIT = { timeout: 60_000 };
/** Milliseconds after which a client asks again. */
const ACK_MS_MAX = 5_000;

interface Run {
  child: ChildProcess;
  lines: string[];
  exit: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

const runs: Run[] = [];
const clients: Socket[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  for (const { child, exit } of runs.splice(0)) {
    child.kill('SIGKILL');
    await exit;
  }
});

function makeEnv(changes: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
  const { hostname, port, password } = new URL(stack().redisUrl);
  const redis = { REDIS_HOST: hostname, REDIS_PORT: port, REDIS_PASSWORD: decodeURIComponent(password) };
  return { ...redis, DATABASE_URL: stack().databaseUrl, PORT: '0', ...changes };
}

function start(env: NodeJS.ProcessEnv): Run {
  const child = spawn(process.execPath, [SERVER], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on('line', (line) => lines.push(line));
  const run: Run = { child, lines, exit: once(child, 'close') as Run['exit'] };
  runs.push(run);
  return run;
}

/** @returns the text that it prints when it listens */
async function startListening(env: NodeJS.ProcessEnv): Promise<Run & { address: string; port: number }> {
  const run = start(env);
  await expect
    .poll(() => run.child.exitCode !== null || run.lines.some((line) => line.includes('"listening"')), WAIT)
    .toBe(true);
  return { ...run, ...JSON.parse(run.lines[0] ?? '') };
}

const WRONG_DATABASE = () => stack().databaseUrl.replace(/:[^:@]+@/, ':wrong@');
it.each([
  [
    'no DATABASE_URL',
    () => ({ DATABASE_URL: undefined }),
    /^The server could not start\. DATABASE_URL must be set/,
  ],
  [
    'a wrong password of Postgres',
    () => ({ DATABASE_URL: WRONG_DATABASE() }),
    /^The server could not start\. \w/,
  ],
  [
    'a wrong password of Redis',
    () => ({ REDIS_PASSWORD: 'wrong' }),
    /^The server could not start\. Redis stores nothing: check .*REDIS_PASSWORD/,
  ],
  ['an invalid port', () => ({ PORT: '70000' }), /^The server could not start\. .*70000/],
])('says in one sentence that it has %s, and ends', async (_, makeChanges, sentence) => {
  const { exit, lines } = start(makeEnv(makeChanges()));
  expect(await exit).toEqual([1, null]);
  expect(lines).toEqual([expect.stringMatching(sentence)]);
  expect(lines.join()).not.toMatch(/wrong|hunter/);
});

it('listens only on this machine unless HOST says otherwise', async () => {
  expect((await startListening(makeEnv())).address).toBe('127.0.0.1');
  expect((await startListening(makeEnv({ HOST: '127.0.0.2' }))).address).toBe('127.0.0.2');
});

it('[F6d] serves a world in memory without a store, and ends by itself', async () => {
  const { PATH } = process.env;
  const { child, exit, lines, port } = await startListening({
    PATH,
    PORT: '0',
    PERSISTENCE_ENABLED: 'false',
  });
  const client = io(`http://127.0.0.1:${port}`, { forceNew: true });
  clients.push(client);
  const ask = (event: string, data?: object) => client.timeout(ACK_MS_MAX).emitWithAck(event, data);
  await ask('user-spawn', { id: 'ann', displayName: 'Ann' });
  expect(await ask('object-create', { objectId: 'lamp' })).toMatchObject({
    ok: true,
    durability: 'committed',
  });
  expect(await ask('world-load')).toMatchObject({
    worldState: { objects: [{ id: 'lamp', createdBy: 'ann' }] },
  });
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(lines.filter((line) => !line.startsWith('{'))).toEqual([]);
});

it(
  `${CLIENTS} clients go on through a restart and a crash: nothing that was acknowledged is lost, nothing is doubled`,
  async () => {
    const tenantId = uniqueName('socket-io');
    const port = await findFreePort(0);
    const env = makeEnv({ DEFAULT_TENANT_ID: tenantId, PORT: String(port) });
    let server = await startListening(env);
    const reasons: string[] = [];
    const heard: string[] = [];
    for (let i = 0; i < CLIENTS; i++) {
      // A few use plain HTTP, as behind a proxy without WebSocket.
      const transports = [i % 5 === 0 ? 'polling' : 'websocket'];
      const client = io(`http://127.0.0.1:${port}`, { transports, forceNew: true });
      client.on('disconnect', (reason) => reasons.push(reason));
      // A client names its person again after each connection.
      client.on('connect', () => client.emit('user-spawn', { id: `user-${i}`, displayName: `User ${i}` }));
      clients.push(client);
    }
    clients[0]?.on('object-create', ({ objectId }) => heard.push(objectId));
    await Promise.all(clients.map((client) => once(client as never, 'connect')));

    /** The answers that clients got, by object. */
    const created: string[] = [];
    const conflicts: string[] = [];
    const moved = new Map<string, number>();
    let isOver = false;
    const working = clients.map(async (client, i) => {
      for (let n = 0; !isOver; n++) {
        const objectId = `of-${i}-${n}`;
        // A client without an answer asks again.
        const ask = async (event: string, data: object) => {
          for (;;) {
            const reply = await client
              .timeout(ACK_MS_MAX)
              .emitWithAck(event, data)
              .catch(() => null);
            if (reply !== null) return reply as { ok: boolean; code?: string };
          }
        };
        const { ok, code } = await ask('object-create', { objectId, properties: { owner: i } });
        if (ok) created.push(objectId);
        else if (code === 'conflict') conflicts.push(objectId);
        else throw new Error(`${objectId}: ${code}`);
        const { ok: isMoved } = await ask('object-move', { objectId, position: { x: n } });
        if (!isMoved) throw new Error(`${objectId} was not moved`);
        moved.set(objectId, n);
      }
    });
    const failed = Promise.all(working);

    const countPerClient = () =>
      Math.min(...clients.map((_, i) => [...moved.keys()].filter((id) => id.startsWith(`of-${i}-`)).length));
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const target = countPerClient() + 3;
      await Promise.race([failed, expect.poll(countPerClient, WAIT).toBeGreaterThanOrEqual(target)]);
      server.child.kill(signal);
      const [exitCode] = await server.exit;
      if (signal === 'SIGTERM') {
        expect([exitCode, server.lines.filter((line) => !line.startsWith('{'))]).toEqual([0, []]);
        expect(JSON.parse(server.lines.at(-1) ?? '')).toMatchObject({
          event: 'stopped',
          queued: 0,
          failed: 0,
        });
      }
      server = await startListening(env);
      await expect.poll(() => clients.every(({ connected }) => connected), WAIT).toBe(true);
      const goal = countPerClient() + 3;
      await Promise.race([failed, expect.poll(countPerClient, WAIT).toBeGreaterThanOrEqual(goal)]);
    }
    isOver = true;
    await failed;
    server.child.kill('SIGTERM');
    expect((await server.exit)[0]).toBe(0);

    // One disconnect per client and per end of the server, and none of them final.
    expect(reasons.length).toBeGreaterThanOrEqual(2 * CLIENTS);
    expect(reasons.filter((reason) => /^io /.test(reason))).toEqual([]);
    const { databaseUrl } = stack();
    const persistence = new PersistenceLayer({ databaseUrl, tenantId, poolSize: 2 });
    const { objects } = await persistence.loadWorldState('main');
    await persistence.disconnect();
    const stored = new Map(objects.map((object) => [object.id, object]));
    expect([...moved].filter(([id, n]) => stored.get(id)?.position.x !== n)).toEqual([]);
    // Each object was created once, even if its acknowledgement was lost with a server.
    expect([...created, ...conflicts].toSorted()).toEqual([...stored.keys()].toSorted());
    expect(conflicts.length).toBeLessThanOrEqual(2 * CLIENTS);
    expect(heard.length).toBe(new Set(heard).size);
  },
  TEST_MS_MAX,
);
