import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../src/access/rate-limiter.ts';
import { Sessions } from '../../src/access/sessions.ts';
import { createSessionStore } from '../../src/postgres/session-store.ts';
import { makeEnv } from '../../test/http/targets.ts';
import { makeApiKeys, makeWorld, openTestNeon, withHooks } from '../../test/layers.ts';
import { stack } from '../../test/support.ts';
import { makeTenant } from '../../test/tenants.ts';
import { createApp } from '../app.ts';
import { composeNode } from '../compose-node.ts';
import { composeWorker } from '../compose-worker.ts';

const LIMIT = 3;
const CACHE_MS = 5_000;
const HOUSE = '2001:db8::1';

/** The functions with a clock of the test's own. Keys and sessions that are older than the cache are looked up again. */
function open() {
  let nowMs = Date.now();
  let lookups = 0;
  const now = () => nowMs;
  const postgres = withHooks(openTestNeon(), { before: () => void lookups++ });
  const keys = { key: stack().sessionSigningKey, previousKey: null };
  const app = createApp({
    ...composeWorker(makeEnv({ RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: String(LIMIT) })),
    limiter: new RateLimiter(null, { now, requestsPerMinuteAlone: 1_000 }),
    apiKeys: makeApiKeys(postgres, now, CACHE_MS),
    sessions: new Sessions(createSessionStore(postgres), { now, cacheMs: CACHE_MS, keys }),
    now,
  });
  const ask = async (credential: string, address = HOUSE, path = '/v1/spaces') => {
    const headers = { Authorization: `Bearer ${credential}`, 'CF-Connecting-IP': address };
    return (await app.request(path, { headers })).status;
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { ask, pass, countLookups: () => lookups };
}

const guess = (tenantId: string) => `wk_${tenantId}_${randomBytes(32).toString('base64url')}`;

describe('unknown credentials', () => {
  it('cost no lookup from an address that used up its budget, until it has one more', async () => {
    const { ask, pass, countLookups } = open();
    const tenant = await makeTenant();
    const unused = await tenant.apiKey(['read']);
    for (const status of [401, 401, 401, 429]) expect(await ask(guess(tenant.tenantId))).toBe(status);
    const before = countLookups();
    for (let i = 0; i < 20; i++) expect(await ask(guess(tenant.tenantId))).toBe(429);
    // Nothing tells this key from a guess until it is looked up.
    expect(await ask(unused)).toBe(429);
    expect(await ask(unused, '2001:db8:0:0:ffff::')).toBe(429);
    expect(countLookups()).toBe(before);
    expect(await ask(guess(tenant.tenantId), '2001:db8:0:1::')).toBe(401);
    pass(20_000);
    expect(await ask(unused)).toBe(200);
    expect(await ask(guess(tenant.tenantId))).toBe(401);
    expect(await ask(guess(tenant.tenantId))).toBe(429);
  });

  it('never stop a key that was good here, however old its cache entry is', async () => {
    const { ask, pass } = open();
    const tenant = await makeTenant();
    const used = await tenant.apiKey(['read']);
    expect(await ask(used)).toBe(200);
    for (let second = 0; second < 12; second++) {
      for (let i = 0; i < 2 * LIMIT; i++) await ask(guess(tenant.tenantId));
      expect(await ask(guess(tenant.tenantId))).toBe(429);
      pass(500);
      expect(await ask(used)).toBe(200);
      pass(CACHE_MS + 500);
      expect(await ask(used)).toBe(200);
    }
  });

  it('about one tenant stop no key of another, not even one that was never used', async () => {
    const { ask } = open();
    const [theirs, other] = [await makeTenant(), await makeTenant()];
    for (let i = 0; i < 5 * LIMIT; i++) await ask(guess(theirs.tenantId));
    expect(await ask(guess(theirs.tenantId))).toBe(429);
    expect(await ask(await other.apiKey(['read']))).toBe(200);
  });

  it('about ever more tenants cost ten budgets at most', async () => {
    const { ask, countLookups } = open();
    const statuses = [];
    for (let i = 0; i < 12 * LIMIT; i++) statuses.push(await ask(guess(`invented-${i}`)));
    expect(countLookups()).toBe(10 * LIMIT + 1);
    expect(statuses.slice(0, 10 * LIMIT)).toEqual(Array(10 * LIMIT).fill(401));
    expect(new Set(statuses.slice(10 * LIMIT))).toEqual(new Set([429]));
  });

  it('never stop a session, not even a new one', async () => {
    const { ask, pass } = open();
    const { tenantId, spaceId, layer } = await makeWorld(openTestNeon());
    await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
    const keys = { key: stack().sessionSigningKey, previousKey: null };
    const sessions = new Sessions(createSessionStore(openTestNeon()), { now: Date.now, cacheMs: 0, keys });
    const mint = () => sessions.mint(tenantId, { userId: 'ann', spaceId });
    const [used, fresh, ended] = [await mint(), await mint(), await mint()];
    const at = `/v1/spaces/${spaceId}`;
    expect(await ask(used.token, HOUSE, at)).toBe(200);
    const flood = async () => {
      for (let i = 0; i < 2 * LIMIT; i++) await ask(guess(tenantId));
      for (let i = 0; i < 2 * LIMIT; i++) await ask('a.b.c');
    };
    await flood();
    expect(await ask(fresh.token, HOUSE, at)).toBe(200);
    pass(CACHE_MS);
    await flood();
    expect(await ask(used.token, HOUSE, at)).toBe(200);
    // The token of a session that has ended has a budget too: its own.
    await sessions.end(tenantId, ended.id);
    for (const status of [401, 401, 401, 429]) expect(await ask(ended.token, HOUSE, at)).toBe(status);
    expect(await ask(used.token, HOUSE, at)).toBe(200);
  });

  it.each([
    ['share the budget of the proxy in front, which nothing tells apart', '', 429],
    ['have budgets of their own behind a proxy that is trusted', '192.0.2.0/24', 401],
  ])('from several addresses: %s', async (_, proxies, status) => {
    const tenant = await makeTenant();
    const composition = composeNode(
      makeEnv({ RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: String(LIMIT), TRUSTED_PROXIES: proxies }),
    );
    const limiter = new RateLimiter(null, { now: Date.now, requestsPerMinuteAlone: 1_000 });
    const app = createApp({ ...composition, limiter });
    const ask = async (caller: string, peer = '192.0.2.1') => {
      const headers = { Authorization: `Bearer ${guess(tenant.tenantId)}`, 'X-Forwarded-For': caller };
      const bindings = { remoteAddress: peer, cut: () => undefined };
      return (await app.request('/v1/spaces', { headers }, bindings)).status;
    };
    for (let i = 0; i < LIMIT; i++) expect(await ask('198.51.100.1')).toBe(401);
    expect(await ask('198.51.100.1')).toBe(429);
    // Whatever the caller puts before its own address.
    expect(await ask('203.0.113.9, 198.51.100.1')).toBe(429);
    expect(await ask('198.51.100.2')).toBe(status);
    // No proxy sends this: who sends it is the caller, and cannot become another.
    for (let i = 0; i < LIMIT; i++) expect(await ask(`198.51.100.${i + 10}`, '203.0.113.5')).toBe(401);
    expect(await ask('198.51.100.20', '203.0.113.5')).toBe(429);
    await composition.close();
  });
});
