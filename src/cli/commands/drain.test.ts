import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestRedis, type TestRedis } from '../../../test/start-redis.ts';
import { stack, uniqueName } from '../../../test/support.ts';
import type { LogStore } from '../../log/log-stores.ts';
import type { RedisClient } from '../../redis/client.ts';
import { createLogStore } from '../../redis/log.ts';
import { openTcpRedis } from '../../redis/tcp.ts';
import type { Operation } from '../../world/operation.ts';
import { queueOperations } from '../testing/queue-operations.ts';
import { runHere } from '../testing/run-here.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

/** A Redis of its own: draining all spaces would drain the spaces of other tests. */
let server: TestRedis;
let redis: RedisClient;
let log: LogStore;
let at: Workplace;
let env: Record<string, string>;
beforeAll(async () => {
  const password = uniqueName('password');
  server = await startTestRedis(password);
  redis = openTcpRedis({ host: '127.0.0.1', port: server.port, password, timeoutMs: 5_000 });
  log = createLogStore(redis);
  at = await openWorkplace();
  env = {
    DATABASE_URL: stack().databaseUrl,
    DEFAULT_TENANT_ID: at.tenant,
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(server.port),
    REDIS_PASSWORD: password,
  };
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
  await at?.close();
});

const queue = (operations: Operation[]) => queueOperations(at, log, operations);
const put = (id: string): Operation => ({ op: 'put', id, name: id });
const listObjects = async (spaceId: string) =>
  (await at.loadState(spaceId)).objects.map(({ id }) => id).toSorted();

it('commits what waits in the log of one space', async () => {
  const spaceId = await queue([put('a'), put('b'), put('c')]);
  const other = await queue([put('x')]);
  expect(await listObjects(spaceId)).toEqual([]);
  const { code, stdout, stderr } = await runHere(['drain', '--space', spaceId], { env });
  expect([code, stdout]).toEqual([0, 'drained 3 operations of 1 space\n']);
  expect(stderr).toBe(`${at.tenant} ${spaceId} (1 of 1): 3 operations\n`);
  expect(await listObjects(spaceId)).toEqual(['a', 'b', 'c']);
  expect(await listObjects(other)).toEqual([]);
});

it('commits what waits in the logs of all, and then there is nothing left', async () => {
  const [one, two] = [await queue([put('a')]), await queue([put('b'), put('c')])];
  const { code, stdout } = await runHere(['drain', '--json'], { env });
  expect(code).toBe(0);
  const document = JSON.parse(stdout);
  expect(document.left).toEqual([]);
  expect(document.operations).toBeGreaterThanOrEqual(3);
  expect([await listObjects(one), await listObjects(two)]).toEqual([['a'], ['b', 'c']]);
  expect(JSON.parse((await runHere(['drain', '--json'], { env })).stdout)).toEqual({
    spaces: 0,
    operations: 0,
    entries: 0,
    batches: 0,
    left: [],
    events: expect.any(Number),
  });
});

it('exits with 1 and names what is left where the database is away', async () => {
  const spaceId = await queue([put('a')]);
  const away = { ...env, DATABASE_URL: 'postgresql://me:hush@127.0.0.1:9/db' };
  const { code, stdout, stderr } = await runHere(['drain', '--json'], { env: away });
  expect(code).toBe(1);
  const { left, operations } = JSON.parse(stdout);
  expect(operations).toBe(0);
  expect(left).toContainEqual({
    tenantId: at.tenant,
    spaceId,
    reason: expect.stringContaining('cannot be reached at the host and port in DATABASE_URL'),
  });
  expect(stdout + stderr).not.toContain('hush');
  expect(await runHere(['drain', '--space', spaceId], { env })).toMatchObject({ code: 0 });
  expect(await listObjects(spaceId)).toEqual(['a']);
});

it('says in one sentence what is wrong', async () => {
  const run = async (args: string[], changes: Record<string, string> = {}) => {
    const { code, stderr } = await runHere(['drain', ...args], { env: { ...env, ...changes } });
    return [code, stderr.split('\n')[0]];
  };
  expect(await run(['--space', 'nowhere'])).toEqual([
    1,
    `worldkeep: there is no space nowhere of tenant ${at.tenant}`,
  ]);
  expect(await run(['--space', 'nowhere', '--tenant', 'other'])).toEqual([
    1,
    'worldkeep: there is no space nowhere of tenant other',
  ]);
  expect(await run(['--tenant', 'other'])).toEqual([2, 'worldkeep: --tenant is for --space alone']);
  expect(await run([], { REDIS_HOST: '', REDIS_PASSWORD: '' })).toEqual([
    2,
    expect.stringContaining('UPSTASH_REDIS_REST_URL, REDIS_URL or REDIS_HOST must be set'),
  ]);
  expect(await run([], { REDIS_PORT: '9' })).toEqual([
    1,
    expect.stringContaining('Redis cannot be reached at the host and port in REDIS_HOST'),
  ]);
});
