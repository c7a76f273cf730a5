import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import type { RedisClient } from '../redis/client.ts';
import { createRateLimitStore } from '../redis/rate-limit.ts';
import { RateLimiter, type RateLimiterEvent, type RateSubject } from './rate-limiter.ts';

const now = () => Date.now();

describe.each(REDIS_WAYS)('RateLimiter, %s', (_, openWay) => {
  let way: RedisWay;
  let redis: RedisClient;
  let calls = 0;
  beforeAll(async () => {
    way = await openWay();
    const client = way.open();
    redis = {
      ...client,
      eval: (...args) => {
        calls++;
        return client.eval(...args);
      },
    };
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  afterAll(async () => {
    await redis?.close();
    await way?.close();
  });

  /** The library reads the system's clock: that alone is set here, timers run. */
  function setClock(ms: number): void {
    vi.useFakeTimers({ toFake: ['Date'], now: ms });
  }
  const subject = (): RateSubject => ({ tenantId: uniqueName('t'), kind: 'principal', name: 'key_1' });
  const make = (onEvent?: (event: RateLimiterEvent) => void, client = redis) =>
    new RateLimiter(createRateLimitStore(client), {
      now,
      requestsPerMinuteAlone: 2,
      ...(onEvent && { onEvent }),
    });

  it('lets so many pass in all processes together, and more evenly over the window', async () => {
    setClock(1_800_000_000_000);
    const [one, other] = [make(), make()];
    const who = subject();
    const limit = { requests: 6, windowSeconds: 60 };
    const left = [];
    for (const limiter of [one, other, one, other, one, other])
      left.push((await limiter.take(who, limit)).remaining);
    expect(left).toEqual([5, 4, 3, 2, 1, 0]);
    expect(await one.take(who, limit)).toMatchObject({
      allowed: false,
      remaining: 0,
      resetAtMs: 1_800_000_010_000,
      countedBy: 'deployment',
    });
    setClock(1_800_000_010_000);
    expect((await one.take(who, limit)).allowed).toBe(true);
    expect((await other.take(who, limit)).allowed).toBe(false);
    setClock(1_800_000_080_000);
    expect((await one.take(who, limit)).remaining).toBe(5);
  });

  it('gives back a part of a second’s requests each second', async () => {
    setClock(1_800_000_000_000);
    const limiter = make();
    const who = subject();
    const limit = { requests: 90, windowSeconds: 60 };
    for (let i = 0; i < 90; i++) expect((await limiter.take(who, limit)).allowed).toBe(true);
    const refused = await limiter.take(who, limit);
    expect([refused.allowed, refused.resetAtMs]).toEqual([false, 1_800_000_001_000]);
    const allowed = [];
    for (let second = 1; second <= 4; second++) {
      setClock(1_800_000_000_000 + second * 1_000);
      let passed = 0;
      while ((await limiter.take(who, limit)).allowed) passed++;
      allowed.push(passed);
    }
    expect(allowed).toEqual([1, 2, 1, 2]);
  });

  it('asks Redis once for an allowed request, and not at all for a refused one', async () => {
    setClock(1_800_000_000_000);
    const limiter = make();
    const who = subject();
    const limit = { requests: 2, windowSeconds: 60 };
    const before = calls;
    for (let i = 0; i < 3; i++) await limiter.take(who, limit);
    expect(calls - before).toBe(3);
    for (let i = 0; i < 100; i++) expect((await limiter.take(who, limit)).allowed).toBe(false);
    expect(calls - before).toBe(3);
    expect(limiter.findBlock(who)).toMatchObject({ allowed: false });
    expect(limiter.findBlock(subject())).toBeNull();
  });

  it('takes tokens for many requests in one command, and never more than the limit in all processes', async () => {
    let nowMs = 1_800_000_000_000;
    setClock(nowMs);
    const processes = [make(), make()];
    const who = subject();
    const limit = { requests: 6_000, windowSeconds: 60 };
    const before = calls;
    let allowed = 0;
    // 100 requests a second, for half a minute, in turns.
    for (let i = 0; i < 3_000; i++) {
      nowMs += 10;
      setClock(nowMs);
      if ((await processes[i % 2]?.takeLeased(who, limit))?.allowed) allowed++;
    }
    expect(allowed).toBe(3_000);
    expect(calls - before).toBeLessThan(150);
    // As fast as they can, they get only the tokens that were left and that came back meanwhile.
    allowed = 0;
    for (let i = 0; i < 9_000; i++) if ((await processes[i % 2]?.takeLeased(who, limit))?.allowed) allowed++;
    expect(allowed).toBeLessThanOrEqual(6_000);
    expect(allowed).toBeGreaterThan(4_800);
    const refused = await processes[0]?.takeLeased(who, limit);
    expect(refused).toMatchObject({ allowed: false, remaining: 0 });
    expect(refused?.resetAtMs).toBeGreaterThan(nowMs);
  });

  it('takes one at a time for a subject that comes once a second, or whose limit is small', async () => {
    let nowMs = 1_800_000_000_000;
    setClock(nowMs);
    const limiter = make();
    const [slow, small] = [subject(), subject()];
    const remaining = [];
    for (let i = 0; i < 5; i++) {
      remaining.push((await limiter.takeLeased(slow, { requests: 6_000, windowSeconds: 6_000 })).remaining);
      nowMs += 1_000;
      setClock(nowMs);
    }
    // One of them comes back each second.
    expect(remaining).toEqual([5_999, 5_999, 5_999, 5_999, 5_999]);
    const before = calls;
    for (let i = 0; i < 5; i++) await limiter.takeLeased(small, { requests: 60, windowSeconds: 60 });
    expect(calls - before).toBe(5);
  });

  it('keeps its counts for no longer than they matter', async () => {
    const who = subject();
    await make().take(who, { requests: 6, windowSeconds: 60 });
    const key = `wk:{${who.tenantId}}:rate:principal!key_1!6/60`;
    const ttlMs = Number(await redis.command('PTTL', key));
    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(60_000);
  });

  it('counts in this process while Redis is away, says so once, and when it is back', async () => {
    setClock(1_800_000_000_000);
    const client = way.open({ timeoutMs: 200 });
    await client.ping();
    const told: string[] = [];
    const limiter = make(({ event }) => void told.push(event), client);
    const who = subject();
    const limit = { requests: 10, windowSeconds: 60 };
    way.inject({ kind: 'refuse' });
    const decisions = [];
    for (let i = 0; i < 4; i++) decisions.push(await limiter.take(who, limit));
    way.clear();
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, false, false]);
    expect(decisions[2]).toMatchObject({
      countedBy: 'process',
      limit: { requests: 2 },
      resetAtMs: 1_800_000_030_000,
    });
    expect(told).toEqual(['rate_limit_per_process']);
    // Over TCP the connection is made again by itself, at its own pace.
    await vi.waitFor(() => client.ping(), { timeout: 10_000 });
    expect((await limiter.take(subject(), limit)).countedBy).toBe('process');
    setClock(1_800_000_006_000);
    expect((await limiter.take(subject(), limit)).countedBy).toBe('deployment');
    expect(told).toEqual(['rate_limit_per_process', 'rate_limit_restored']);
    await client.close();
  });

  it('waits half a second for Redis at most, and then not again for a while', async () => {
    const client = way.open({ timeoutMs: 60_000 });
    await client.ping();
    way.inject({ kind: 'hang' });
    const limiter = make(undefined, client);
    const who = subject();
    for (let i = 0; i < 20; i++)
      expect((await limiter.take(who, { requests: 10, windowSeconds: 60 })).countedBy).toBe('process');
    way.clear();
    await client.close();
  });
});

describe('RateLimiter without a Redis', () => {
  it('counts in its own process, and says so once', async () => {
    let nowMs = 0;
    const told: RateLimiterEvent[] = [];
    const limiter = new RateLimiter(null, {
      now: () => nowMs,
      requestsPerMinuteAlone: 60,
      onEvent: (event) => void told.push(event),
    });
    const who = { tenantId: null, kind: 'address', name: '192.0.2.1' };
    const limit = { requests: 1_000, windowSeconds: 60 };
    let passed = 0;
    while ((await limiter.take(who, limit)).allowed) passed++;
    expect(passed).toBe(60);
    nowMs = 2_000;
    expect((await limiter.take(who, limit)).allowed).toBe(true);
    expect((await limiter.take(who, limit)).allowed).toBe(true);
    expect((await limiter.take(who, limit)).allowed).toBe(false);
    expect(told).toEqual([{ event: 'rate_limit_per_process', reason: 'no_redis' }]);
  });
});
