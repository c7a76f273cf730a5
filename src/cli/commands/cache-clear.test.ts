import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startUpstashEmulator } from '../../../dev/emulators/upstash.ts';
import { startTestRedis, type TestRedis } from '../../../test/start-redis.ts';
import { stack, uniqueName } from '../../../test/support.ts';
import { CacheManager } from '../../cache-manager.ts';
import { Presence } from '../../live/presence.ts';
import { createCacheStore } from '../../redis/cache.ts';
import type { RedisClient } from '../../redis/client.ts';
import { readCopyKind } from '../../redis/keys.ts';
import { createLogStore } from '../../redis/log.ts';
import { createPresenceStore } from '../../redis/presence.ts';
import { openTcpRedis } from '../../redis/tcp.ts';
import { queueOperations } from '../testing/queue-operations.ts';
import { runHere } from '../testing/run-here.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

/** A Redis of its own: what clears all would clear what other tests keep. */
let server: TestRedis;
let emulator: Awaited<ReturnType<typeof startUpstashEmulator>>;
let redis: RedisClient;
let at: Workplace;
const password = uniqueName('password');
beforeAll(async () => {
  server = await startTestRedis(password);
  emulator = await startUpstashEmulator({ redisUrl: server.url, token: password, port: 0 });
  redis = openTcpRedis({ host: '127.0.0.1', port: server.port, password, timeoutMs: 5_000 });
  at = await openWorkplace();
});
afterAll(async () => {
  await redis?.close();
  await emulator?.close();
  await server?.stop();
  await at?.close();
});
beforeEach(async () => {
  await redis.command('FLUSHALL');
});

const tcpEnv = () => ({
  REDIS_HOST: '127.0.0.1',
  REDIS_PORT: String(server.port),
  REDIS_PASSWORD: password,
  DEFAULT_TENANT_ID: at.tenant,
  DATABASE_URL: stack().databaseUrl,
});
const WAYS: [string, () => Record<string, string>][] = [
  ['TCP', tcpEnv],
  [
    'Upstash',
    () => ({
      UPSTASH_REDIS_REST_URL: emulator.url,
      UPSTASH_REDIS_REST_TOKEN: password,
      DEFAULT_TENANT_ID: at.tenant,
    }),
  ],
];

/** The content of this Redis: a space with a backlog, and copies of every kind. */
async function fill(): Promise<{ spaceId: string; kept: string[] }> {
  const spaceId = await queueOperations(at, createLogStore(redis), [
    { op: 'put', id: 'a', name: 'a' },
    { op: 'put', id: 'b', name: 'b' },
  ]);
  const { tenant } = at;
  const space = `wk:{${tenant}!${spaceId}}`;
  await new Presence(createPresenceStore(redis)).touch({
    tenantId: tenant,
    spaceId,
    userId: 'ann',
    sessionId: 's',
  });
  const cache = new CacheManager(createCacheStore(redis), { tenantId: tenant });
  await cache.setUserSession('ann', { here: true });
  await cache.get('object', 'unknown');
  for (const [key, value] of [
    [`${space}:idem:k:key_1!once`, '1 1 1 i f'],
    // An idempotency key that a caller chose is no copy, even if it looks like one.
    [`${space}:idem:k:key_1!}:cache:x!y`, '1 1 1 i f'],
    [`${space}:idem:k:key_1!wk:{t}:cache:x!y`, '1 1 1 i f'],
    [`${space}:idem:k:key_1!x:snap`, '1 1 1 i f'],
    [`${space}:budget:k:key_1`, '1.000 1.000'],
    [`wk:{${tenant}}:marks`, '1'],
    [`wk:{${tenant}}:rate:action!ann!move!100/60`, '1'],
    ['wk:job:delivery', '1'],
    ['another:{program}:cache:x', '1'],
  ] as const)
    await redis.command('SET', key, value);
  const kept = ((await redis.command('KEYS', '*')) as string[]).toSorted();
  for (const tenantId of [tenant, 'other']) {
    const own = cache.forTenant(tenantId);
    for (let i = 0; i < 1_500; i++) if (i < 3 || tenantId === tenant) await own.set('object', `o-${i}`, i);
    await own.cacheWorldState(spaceId, { objects: [] });
    for (const name of ['i:snap', 'i:snap:aside', 'i:metadata'])
      await redis.command('SET', `wk:{${tenantId}!${spaceId}}:${name}`, 'bytes');
  }
  return { spaceId, kept };
}

describe.each(WAYS)('cache clear, over %s', (_, makeEnv) => {
  it('removes what is only a copy; what was written is there, and drains', async () => {
    const { spaceId, kept } = await fill();
    const { code, stdout } = await runHere(['cache', 'clear', '--json'], { env: makeEnv() });
    expect([code, JSON.parse(stdout)]).toEqual([0, { values: 1_503, worldStates: 2, snapshots: 6 }]);
    expect(((await redis.command('KEYS', '*')) as string[]).toSorted()).toEqual(kept);
    expect(kept.filter((key) => readCopyKind(key) !== null)).toEqual([]);
    const again = await runHere(['cache', 'clear'], { env: makeEnv() });
    const nothing = 'removed 0 cached values, 0 world states and 0 snapshot keys\n';
    expect([again.code, again.stdout]).toEqual([0, nothing]);

    expect((await at.loadState(spaceId)).objects).toEqual([]);
    const drained = await runHere(['drain', '--space', spaceId], { env: tcpEnv() });
    expect([drained.code, drained.stdout]).toEqual([0, 'drained 2 operations of 1 space\n']);
    expect((await at.loadState(spaceId)).objects.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('removes the copies of one space, and no other’s', async () => {
    const { spaceId } = await fill();
    const clear = async (...args: string[]) =>
      JSON.parse((await runHere(['cache', 'clear', '--json', ...args], { env: makeEnv() })).stdout);
    const own = { values: 0, worldStates: 1, snapshots: 3 };
    expect(await clear('--space', spaceId)).toEqual(own);
    expect(await clear('--space', spaceId)).toEqual({ values: 0, worldStates: 0, snapshots: 0 });
    expect(await clear('--space', spaceId, '--tenant', 'other')).toEqual(own);
    expect(await clear()).toEqual({ values: 1_503, worldStates: 0, snapshots: 0 });
  });
});

it('says how far it is where there are many keys', async () => {
  for (let from = 0; from < 25_000; from += 5_000)
    await redis.command(
      'MSET',
      ...Array.from({ length: 5_000 }, (_, i) => [`wk:{t}:cache:x!${from + i}`, '1']).flat(),
    );
  const { code, stdout, stderr } = await runHere(['cache', 'clear'], { env: tcpEnv() });
  expect([code, stdout.split(' cached')[0]]).toEqual([0, 'removed 25,000']);
  expect(stderr.split('\n').filter(Boolean)).toEqual([
    expect.stringMatching(/^about 10,000 of 25,000 keys looked at, \d[\d,]* removed$/),
    expect.stringMatching(/^about 20,000 of 25,000 keys looked at, \d[\d,]* removed$/),
  ]);
});

it('says in one sentence what is wrong', async () => {
  const run = async (args: string[], env: Record<string, string>) => {
    const { code, stderr } = await runHere(['cache', 'clear', ...args], { env });
    return [code, stderr.split('\n')[0]];
  };
  expect(await run([], {})).toEqual([
    2,
    expect.stringContaining('UPSTASH_REDIS_REST_URL or REDIS_URL or REDIS_HOST must'),
  ]);
  expect(await run([], { REDIS_HOST: '127.0.0.1', REDIS_PORT: '9' })).toEqual([
    1,
    expect.stringContaining('Redis cannot be reached at the host and port in REDIS_HOST'),
  ]);
  expect(await run(['--tenant', 't'], tcpEnv())).toEqual([2, 'worldkeep: --tenant is for --space alone']);
  expect(await run(['--space', 'a/b'], tcpEnv())).toEqual([2, expect.stringContaining('--space must be')]);
});
