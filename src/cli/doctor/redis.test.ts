import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestRedis, type TestRedis } from '../../../test/start-redis.ts';
import { stack, uniqueName } from '../../../test/support.ts';
import type { RedisClient } from '../../redis/client.ts';
import { dirtyKey, spaceMember } from '../../redis/keys.ts';
import { openTcpRedis } from '../../redis/tcp.ts';
import { runDoctor } from '../testing/doctor-report.ts';
import { runHere } from '../testing/run-here.ts';

describe('worldkeep doctor, of a Redis over TCP', () => {
  let server: TestRedis;
  let folder: string;
  const password = 'a-long-password';
  const examine = (env: Record<string, string>) => runDoctor(env, folder);
  const settings = () => ({
    DATABASE_URL: stack().databaseUrl,
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(server.port),
    REDIS_PASSWORD: password,
  });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'worldkeep-doctor-'));
    server = await startTestRedis(password);
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true });
  });

  afterEach(async () => {
    await configure('maxmemory', '0');
    await configure('maxmemory-policy', 'noeviction');
    await configure('appendonly', 'yes');
  });

  const withRedis = async <T>(work: (redis: RedisClient) => Promise<T>): Promise<T> => {
    const redis = openTcpRedis({ host: '127.0.0.1', port: server.port, password, timeoutMs: 5_000 });
    return work(redis).finally(() => redis.close());
  };
  const configure = (name: string, value: string) =>
    withRedis((redis) => redis.command('CONFIG', 'SET', name, value));

  it('that is as it should be', async () => {
    const report = await examine(settings());
    expect(report.wrong).toEqual([]);
    for (const id of ['redis', 'redis.eviction', 'redis.memory', 'redis.durability', 'redis.clock'])
      expect(report.find(id)).toMatchObject({ status: 'ok' });
    expect(report.find('log.backlog')).toMatchObject({ status: 'ok' });
  });

  it('that evicts', async () => {
    await configure('maxmemory-policy', 'allkeys-lru');
    const report = await examine(settings());
    expect([report.code, report.wrong]).toEqual([1, ['redis.eviction']]);
    expect(report.find('redis.eviction')?.message).toContain('allkeys-lru');
  });

  it('that keeps nothing when it ends: to be looked at', async () => {
    await configure('appendonly', 'no');
    const report = await examine(settings());
    expect([report.code, report.wrong]).toEqual([0, []]);
    expect(report.find('redis.durability')).toMatchObject({
      status: 'warning',
      remedy: expect.stringContaining('appendonly yes'),
    });
    const { stdout } = await runHere(['doctor'], { env: settings(), cwd: folder });
    expect(stdout).toMatch(/^WARN {3}redis\.durability: .*\n {7}Set appendonly yes/m);
    expect(stdout).toMatch(/\nnothing is wrong; 2 to be looked at; 1 could not be seen\n$/);
  });

  it('that is full, or nearly', async () => {
    await configure('maxmemory', '1');
    const full = await examine(settings());
    expect([full.code, full.wrong]).toEqual([1, ['redis.memory']]);
    expect(full.find('redis.memory')?.message).toContain('it is full, and writes are refused');
    const used = await withRedis((redis) => redis.command('INFO', 'memory'));
    await configure(
      'maxmemory',
      String(Math.round(Number(/used_memory:(\d+)/.exec(String(used))?.[1]) / 0.87)),
    );
    const nearly = await examine(settings());
    expect([nearly.code, nearly.find('redis.memory')?.status]).toEqual([0, 'warning']);
  });

  it('whose user may not ask for its settings', async () => {
    await withRedis(async (redis) => {
      await redis.command('ACL', 'SETUSER', 'default', '-config', '-info');
      const report = await examine(settings()).finally(() =>
        redis.command('ACL', 'SETUSER', 'default', '+config', '+info'),
      );
      expect([report.code, report.wrong]).toEqual([0, []]);
      for (const id of ['redis.eviction', 'redis.memory', 'redis.durability'])
        expect(report.find(id)?.status).toBe('unknown');
    });
  });

  it('in which a space waits to be drained for over a minute', async () => {
    const tenantId = uniqueName('doctor');
    const oldest = (secondsAgo: number) => String((Math.floor(Date.now() / 1_000) - secondsAgo) * 1_000_000);
    await withRedis(async (redis) => {
      await redis.command('ZADD', dirtyKey(3), oldest(300), spaceMember({ tenantId, spaceId: 'late' }));
      await redis.command('ZADD', dirtyKey(4), oldest(5), spaceMember({ tenantId, spaceId: 'soon' }));
    });
    const backlog = (await examine(settings())).find('log.backlog');
    await withRedis((redis) => redis.command('DEL', dirtyKey(3), dirtyKey(4)));
    expect(backlog).toMatchObject({ status: 'warning', remedy: expect.stringContaining('worldkeep drain') });
    expect(backlog?.message).toMatch(
      new RegExp(`: 1 of 2 spaces with something to drain, ${tenantId} late \\(30\\d s\\)$`),
    );
  });

  it('that does not answer, or refuses the password', async () => {
    for (const change of [{ REDIS_PORT: '9' }, { REDIS_PASSWORD: 'another' }]) {
      const report = await examine({ ...settings(), ...change });
      expect(report.wrong).toEqual(['redis']);
      expect(report.find('redis')?.remedy).toContain('REDIS_PASSWORD');
    }
  });
});
