import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openSpace } from '../../test/http/client.ts';
import { startNode } from '../../test/http/node-target.ts';
import { type OwnRedis, openOwnRedis } from '../../test/http/own-redis.ts';
import { keepConsole, makeEnv, startInProcess, type Target } from '../../test/http/targets.ts';

describe.each(['tcp', 'http'] as const)('/health, of a Redis of its own over %s', (way) => {
  let redis: OwnRedis;
  let target: Target;
  let restoreConsole: () => void;
  beforeAll(async () => {
    restoreConsole = keepConsole();
    redis = await openOwnRedis(way);
    const env = makeEnv(redis.env);
    target = await (way === 'tcp' ? startNode(env) : startInProcess(env));
  });
  afterEach(async () => {
    await redis.client.config('SET', 'maxmemory', '0');
    await redis.client.config('SET', 'maxmemory-policy', 'noeviction');
  });
  afterAll(async () => {
    await target?.stop();
    await redis?.close();
    restoreConsole();
  });

  it('is degraded while it is full: nothing is queued, and worlds are read', async () => {
    const { at, call } = await openSpace(target);
    const ops = [{ op: 'put', id: 'o' }];
    expect((await call('POST', `${at}/updates`, { json: { ops }, headers: { Prefer: 'wait' } })).status).toBe(
      200,
    );
    expect((await call('GET', '/health')).body).toMatchObject({ status: 'ok', log: 'ok' });
    await redis.client.config('SET', 'maxmemory', '1');
    const { status, body } = await call('GET', '/health');
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'degraded', log: 'full', worldState: { objects: 1 } });
    expect((await call('POST', `${at}/updates`, { json: { ops } })).status).toBe(503);
    expect((await call('GET', `${at}/objects/o`)).status).toBe(200);
    await redis.client.config('SET', 'maxmemory', '0');
    expect((await call('GET', '/health')).body).toMatchObject({ status: 'ok', log: 'ok' });
    const wait = { Prefer: 'wait' };
    expect((await call('POST', `${at}/updates`, { json: { ops }, headers: wait })).status).toBe(200);
  });

  it('is degraded while it evicts, where that can be known', async () => {
    const { call } = await openSpace(target);
    await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect((await call('GET', '/health')).body).toMatchObject(
      redis.tellsPolicy ? { status: 'degraded', log: 'evicts' } : { status: 'ok', log: 'ok' },
    );
  });
});
