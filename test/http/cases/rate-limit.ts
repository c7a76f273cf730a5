import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { stack } from '../../support.ts';
import { makeTenant } from '../../tenants.ts';
import { type Answer, createCall, openDoor, openSpace } from '../client.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target, TargetEnv } from '../targets.ts';

export function describeRateLimits({ start, makeEnv, withoutRedis, openFragileStores }: Runtime): void {
  async function using<T>(changes: TargetEnv, run: (target: Target) => Promise<T>): Promise<T> {
    const target = await start(makeEnv(changes));
    try {
      return await run(target);
    } finally {
      await target.stop();
    }
  }
  const THREE = { RATE_LIMIT_REQUESTS_PER_MINUTE: '3' };

  function expectRefusal({ status, headers, body }: Answer, policy: string, requests: number): void {
    expect([status, body.code]).toEqual([429, 'rate_limited']);
    const seconds = Number(headers.get('Retry-After'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(Math.ceil(60 / requests));
    expect(headers.get('RateLimit')).toBe(`"${policy}";r=0;t=${seconds}`);
    expect(headers.get('RateLimit-Policy')).toBe(`"${policy}";q=${requests};w=60`);
    expect(headers.get('Content-Type')).toBe('application/problem+json');
  }

  describe('rate limits', () => {
    it('show the rest, and refuse requests above it: for each key alone, errors included', async () => {
      await using(THREE, async (target) => {
        const { call, apiKey } = await openDoor(target);
        const answers = [
          await call('GET', '/v1/spaces'),
          await call('GET', '/v1/spaces/nowhere'),
          await call('PUT', '/v1/spaces/s', { json: { wrong: true } }),
        ];
        expect(answers.map(({ status }) => status)).toEqual([200, 404, 422]);
        for (const [i, { headers }] of answers.entries()) {
          expect(headers.get('RateLimit')).toMatch(new RegExp(`^"requests";r=${2 - i};t=\\d+$`));
          expect(headers.get('RateLimit-Policy')).toBe('"requests";q=3;w=60');
        }
        expectRefusal(await call('PUT', '/v1/spaces/s', { json: { name: 'S' } }), 'requests', 3);
        expectRefusal(await call('GET', '/v1/keys'), 'requests', 3);
        const other = createCall(target, await apiKey(['read']));
        expect((await other('GET', '/v1/spaces')).body.items).toEqual([]);
      });
    });

    it('count each read of a state, also of one that does not exist', async () => {
      await using({ RATE_LIMIT_REQUESTS_PER_MINUTE: '4' }, async (target) => {
        const { call, apiKey, at } = await openSpace(target);
        const reader = createCall(target, await apiKey(['read']));
        const first = await reader('GET', `${at}/state`);
        const answers = [
          first,
          await reader('GET', '/v1/spaces/nowhere/state'),
          await reader('GET', `${at}/state`, {
            headers: { 'If-None-Match': first.headers.get('ETag') ?? '' },
          }),
          await reader('GET', `${at}/state`, { headers: { Accept: 'application/x-ndjson' } }),
        ];
        expect(answers.map(({ status }) => status)).toEqual([200, 404, 304, 200]);
        for (const [i, { headers }] of answers.entries())
          expect(headers.get('RateLimit')).toMatch(new RegExp(`^"requests";r=${3 - i};t=\\d+$`));
        for (let i = 0; i < 2; i++) expectRefusal(await reader('GET', `${at}/state`), 'requests', 4);
        expect((await call('GET', `${at}/state`)).status).toBe(200);
      });
    });

    it('apply to all processes together', async () => {
      await using(THREE, async (one) => {
        await using(THREE, async (another) => {
          const key = await (await makeTenant()).apiKey(['read']);
          const [here, there] = [createCall(one, key), createCall(another, key)];
          for (const call of [here, there, here]) expect((await call('GET', '/v1/spaces')).status).toBe(200);
          expectRefusal(await there('GET', '/v1/spaces'), 'requests', 3);
          expectRefusal(await here('GET', '/v1/spaces'), 'requests', 3);
        });
      });
    });

    it('do not count a caller without a credential, and are off at 0', async () => {
      await using({ RATE_LIMIT_REQUESTS_PER_MINUTE: '0' }, async (target) => {
        const { call } = await openDoor(target);
        const stranger = createCall(target, null);
        for (const answer of [
          await call('GET', '/v1/spaces'),
          await stranger('GET', '/livez'),
          await stranger('GET', '/v1/spaces'),
          await stranger('GET', '/v1/nothing'),
        ])
          expect([answer.headers.get('RateLimit'), answer.headers.get('RateLimit-Policy')]).toEqual([
            null,
            null,
          ]);
      });
    });

    it('refuse an address that guesses credentials, and not a known key', async () => {
      // Other tests use the same address, also in other processes. A different limit gives this test a separate count.
      const limit = 20 + ((await countUp('test:address-limit')) % 60);
      const env = {
        RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: String(limit),
        API_KEY_CACHE_SECONDS: '300',
      };
      await using(env, async (target) => {
        const tenant = await makeTenant();
        const known = createCall(target, await tenant.apiKey(['read']));
        expect((await known('GET', '/v1/spaces')).status).toBe(200);
        const guesses = ['nonsense', `wk_${tenant.tenantId}_${'x'.repeat(43)}`, 'a.b.c'];
        const statuses: number[] = [];
        let refused: Answer | undefined;
        for (let i = 0; i < 2 * limit && refused === undefined; i++) {
          const guess = createCall(target, guesses[i % guesses.length] ?? '');
          const answer = await guess('GET', i % 2 === 0 ? '/v1/spaces' : '/health');
          statuses.push(answer.status);
          if (answer.status === 429) refused = answer;
        }
        expect(statuses.length).toBeGreaterThan(limit);
        expect(new Set(statuses)).toEqual(new Set([401, 429]));
        if (refused !== undefined) expectRefusal(refused, 'unknown-credentials', limit);
        expect((await known('GET', '/v1/spaces')).status).toBe(200);
        expect((await createCall(target, null)('GET', '/v1/spaces')).status).toBe(401);
      });
    });

    it.each(['refuse', 'hang'] as const)(
      'apply in each process while Redis is away (%s), and the log reports it once',
      async (fault) => {
        const stores = await openFragileStores();
        const alone = { RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE: '2', LOG_LEVEL: 'warn' };
        try {
          await using({ ...stores.env, ...alone }, async (target) => {
            const { call } = await openDoor(target);
            const before = target.lines.length;
            stores.redis.inject(fault);
            const statuses = [];
            for (let i = 0; i < 2; i++) statuses.push((await call('GET', '/v1/spaces')).status);
            expect(statuses).toEqual([200, 200]);
            expectRefusal(await call('GET', '/v1/spaces'), 'requests', 2);
            stores.redis.clear();
            const told = target.lines.slice(before).filter((line) => line.includes('rate_limit_per_process'));
            expect(told.map((line) => JSON.parse(line))).toMatchObject([
              { level: 'warn', reason: 'redis_away' },
            ]);
          });
        } finally {
          await stores.close();
        }
      },
    );

    it('apply in each process if there is no Redis', async () => {
      const alone = { RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE: '2' };
      await using({ ...withoutRedis, ...alone }, async (target) => {
        const { call } = await openDoor(target);
        for (let i = 0; i < 2; i++) expect((await call('GET', '/v1/spaces')).status).toBe(200);
        expectRefusal(await call('GET', '/v1/spaces'), 'requests', 2);
      });
    });
  });
}

/** @returns a number that no other test of this run gets */
async function countUp(name: string): Promise<number> {
  const redis = new Redis(stack().redisUrl);
  try {
    return await redis.incr(name);
  } finally {
    redis.disconnect();
  }
}
