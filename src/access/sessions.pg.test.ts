import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS, makeWorld, openTestNeon, withHooks } from '../../test/layers.ts';
import type { Postgres } from '../postgres/client.ts';
import { createSessionStore } from '../postgres/session-store.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { type SessionOptions, Sessions } from './sessions.ts';

const KEY = 'a key of thirty-two bytes or more';
const OTHER_KEY = 'another key of as many bytes or more';
const START = Date.parse('2026-01-01T00:00:00.250Z');
const NOT_FOUND = { code: 'not_found' };

/** A tenant with Ann in it, and sessions with a clock that tests move. */
async function makeSessions(postgres: Postgres, options: Partial<SessionOptions> = {}) {
  const world = await makeWorld(postgres);
  await world.layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  const clock = { now: START };
  const open = (more: Partial<SessionOptions> = {}) =>
    new Sessions(createSessionStore(postgres), {
      now: () => clock.now,
      cacheMs: 0,
      keys: { key: KEY, previousKey: null },
      ...options,
      ...more,
    });
  const sessions = open();
  const mint = (input: object = {}) =>
    sessions.mint(world.tenantId, { userId: 'ann', spaceId: 'main', ...input });
  return { ...world, clock, open, sessions, mint };
}

describe.each(Object.entries(DRIVERS))('[T3b] Sessions on %s', (_, openDriver) => {
  const postgres = openDriver();
  afterAll(() => postgres.close());

  it('mints a token that says whose stay it is, and knows it again', async () => {
    const { tenantId, sessions, mint } = await makeSessions(postgres);
    const { id, token, expiresAt } = await mint({ role: 'editor' });
    expect(expiresAt).toBe('2026-01-01T01:00:00.000Z');
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT', kid: expect.any(String) });
    expect(decodeJwt(token)).toEqual({
      tenant: tenantId,
      sub: 'ann',
      space: 'main',
      role: 'editor',
      jti: id,
      iss: 'worldkeep',
      aud: 'worldkeep:session',
      iat: 1_767_225_600,
      exp: 1_767_229_200,
    });
    expect(await sessions.authenticate(token)).toEqual({
      id,
      tenantId,
      spaceId: 'main',
      userId: 'ann',
      role: 'editor',
      expiresAt,
      endedAt: null,
    });
  });

  it('gives a stay the member’s role where none is asked for, and a new member’s is viewer', async () => {
    const { layer, sessions, mint } = await makeSessions(postgres);
    const roleOf = async (input?: object) => {
      const session = await sessions.authenticate((await mint(input)).token);
      return session?.role;
    };
    expect(await roleOf()).toBe('viewer');
    expect(await roleOf({ role: 'owner' })).toBe('owner');
    expect(await roleOf()).toBe('owner');
    await layer.putSpace('other', { name: 'Other' });
    expect(await roleOf({ spaceId: 'other' })).toBe('viewer');
    // An avatar that came with a saved world is a member, and nobody has said more of it.
    await layer.saveWorldState({ objects: [], users: [{ id: 'bob', displayName: 'Bob' }] });
    expect(await roleOf({ userId: 'bob' })).toBe('viewer');
  });

  it('[F3] a stay that was good is good for a while when the database is away', async () => {
    let isAway = false;
    const breaking = withHooks(postgres, {
      before: () => {
        if (isAway) throw new AppError('store_unavailable', 'away');
      },
    });
    const { sessions, mint, clock } = await makeSessions(breaking, { cacheMs: 5_000 });
    const [known, other] = [await mint({ ttlSeconds: 80_000 }), await mint({ ttlSeconds: 80_000 })];
    expect(await sessions.authenticate(known.token)).not.toBeNull();
    isAway = true;
    clock.now += LIMITS.credentialStaleMsMax - 1;
    expect(await sessions.authenticate(known.token)).toMatchObject({ id: known.id });
    await expect(sessions.authenticate(other.token)).rejects.toMatchObject({ code: 'store_unavailable' });
    clock.now += 5_000;
    await expect(sessions.authenticate(known.token)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('leaves the stays that are open as they are when the member’s role changes', async () => {
    const { sessions, mint } = await makeSessions(postgres);
    const first = await mint({ role: 'owner' });
    await mint({ role: 'viewer' });
    expect(await sessions.authenticate(first.token)).toMatchObject({ role: 'owner' });
  });

  it('mints nothing for a person, a space or a tenant that is not there', async () => {
    const { layer, sessions, mint } = await makeSessions(postgres);
    await expect(mint({ userId: 'nobody' })).rejects.toMatchObject(NOT_FOUND);
    await expect(mint({ spaceId: 'nowhere' })).rejects.toMatchObject(NOT_FOUND);
    await expect(sessions.mint('no-tenant', { userId: 'ann', spaceId: 'main' })).rejects.toMatchObject(
      NOT_FOUND,
    );
    await layer.deleteSpace('main');
    await expect(mint()).rejects.toMatchObject(NOT_FOUND);
  });

  it('knows in which spaces a person has a stay that is open', async () => {
    const { layer, clock, sessions, tenantId, mint } = await makeSessions(postgres);
    const store = createSessionStore(postgres);
    const list = async (limit = 10) =>
      (await store.listSpacesOf(tenantId, 'ann', new Date(clock.now).toISOString(), limit)).toSorted();
    for (const spaceId of ['a', 'b', 'c']) await layer.putSpace(spaceId, { name: spaceId });
    await layer.upsertUser({ id: 'bob', displayName: 'Bob' });
    await mint({ spaceId: 'a' });
    await mint({ spaceId: 'a' });
    await mint({ spaceId: 'b', ttlSeconds: 60 });
    const ended = await mint({ spaceId: 'c' });
    await sessions.end(tenantId, ended.id);
    await mint({ userId: 'bob', spaceId: 'main' });
    expect(await list()).toEqual(['a', 'b']);
    expect(await list(1)).toHaveLength(1);
    clock.now += 60_000;
    expect(await list()).toEqual(['a']);
  });

  it('ends with its time, to the second, whether it is cached or not', async () => {
    for (const cacheMs of [0, 60_000]) {
      const { clock, sessions, tenantId, mint } = await makeSessions(postgres, { cacheMs });
      const { id, token } = await mint({ ttlSeconds: 2 });
      clock.now = START - 250 + 1_999;
      expect(await sessions.authenticate(token)).not.toBeNull();
      await sessions.heartbeat(tenantId, id);
      clock.now += 1;
      expect(await sessions.authenticate(token)).toBeNull();
      await expect(sessions.heartbeat(tenantId, id)).rejects.toMatchObject(NOT_FOUND);
    }
  });

  it('serves no more once ended here, and once ended elsewhere no longer than the cache holds it', async () => {
    const { clock, open, tenantId, mint } = await makeSessions(postgres);
    const here = open({ cacheMs: 5_000 });
    const first = await mint();
    expect(await here.authenticate(first.token)).not.toBeNull();
    await here.end(tenantId, first.id);
    expect(await here.authenticate(first.token)).toBeNull();
    await here.end(tenantId, first.id);
    await expect(here.heartbeat(tenantId, first.id)).rejects.toMatchObject(NOT_FOUND);

    const second = await mint();
    expect(await here.authenticate(second.token)).not.toBeNull();
    await open().end(tenantId, second.id);
    clock.now += 4_999;
    expect(await here.authenticate(second.token)).not.toBeNull();
    clock.now += 1;
    expect(await here.authenticate(second.token)).toBeNull();
    await expect(here.end(tenantId, 'none')).rejects.toMatchObject(NOT_FOUND);
  });

  it('ends with its space, which may be made again, and with its person', async () => {
    const { layer, sessions, tenantId, mint } = await makeSessions(postgres);
    const inSpace = await mint();
    await layer.deleteSpace('main');
    expect(await sessions.authenticate(inSpace.token)).toBeNull();
    await expect(sessions.heartbeat(tenantId, inSpace.id)).rejects.toMatchObject(NOT_FOUND);
    await layer.putSpace('main', { name: 'Again' });
    expect(await sessions.authenticate(inSpace.token)).toBeNull();

    const ofPerson = await mint();
    await layer.eraseUser('ann');
    await layer.upsertUser({ id: 'ann', displayName: 'Another Ann' });
    expect(await sessions.authenticate(ofPerson.token)).toBeNull();
    await expect(sessions.end(tenantId, ofPerson.id)).rejects.toMatchObject(NOT_FOUND);
  });

  it('notes in the person when a stay was last heard of', async () => {
    const { layer, clock, sessions, tenantId, mint } = await makeSessions(postgres);
    const { id } = await mint();
    clock.now = Date.parse('2026-01-01T00:30:00Z');
    await sessions.heartbeat(tenantId, id);
    expect((await layer.getUser('ann')).lastSeenAt).toBe('2026-01-01T00:30:00.000Z');
    const elsewhere = await makeSessions(postgres);
    await expect(elsewhere.sessions.heartbeat(elsewhere.tenantId, id)).rejects.toMatchObject(NOT_FOUND);
    await expect(elsewhere.sessions.end(elsewhere.tenantId, id)).rejects.toMatchObject(NOT_FOUND);
  });

  it('takes tokens of both keys while they change, and of the old one no more after', async () => {
    const { open, tenantId } = await makeSessions(postgres);
    const before = open();
    const during = open({ keys: { key: OTHER_KEY, previousKey: KEY } });
    const after = open({ keys: { key: OTHER_KEY, previousKey: null } });
    const input = { userId: 'ann', spaceId: 'main' };
    const old = await before.mint(tenantId, input);
    expect(await during.authenticate(old.token)).toMatchObject({ id: old.id });
    expect(await after.authenticate(old.token)).toBeNull();
    const renewed = await during.mint(tenantId, input);
    expect(await after.authenticate(renewed.token)).toMatchObject({ id: renewed.id });
    expect(await before.authenticate(renewed.token)).toBeNull();
    expect(decodeProtectedHeader(renewed.token).kid).not.toBe(decodeProtectedHeader(old.token).kid);
  });

  it('knows no token that it did not sign as it is, and asks no store about one', async () => {
    let transactions = 0;
    const watched = withHooks(postgres, { before: () => void transactions++ });
    const { sessions, mint } = await makeSessions(watched);
    const { token } = await mint({ role: 'viewer' });
    const [, payload = '', signature = ''] = token.split('.');
    const claims = decodeJwt(token);
    const kid = decodeProtectedHeader(token).kid ?? '';
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const sign = (changes: object, header: object = { kid }, key = KEY) =>
      new SignJWT({ ...claims, ...changes })
        .setProtectedHeader({ alg: 'HS256', ...header })
        .sign(new TextEncoder().encode(key));
    const forged = [
      ...['', '.', '..', 'a.b.c', token.slice(0, -1), `${token}A`, 'x'.repeat(100_000)],
      `${encode({ alg: 'none', kid })}.${payload}.`,
      `${encode({ alg: 'none', kid })}.${payload}.${signature}`,
      `${encode({ alg: 'HS256', kid })}.${encode({ ...claims, role: 'owner' })}.${signature}`,
      `${encode({ alg: 'HS256', kid, crit: ['exp'] })}.${payload}.${signature}`,
      await sign({}, { kid: 'other' }),
      await sign({}, {}),
      await sign({}, { kid, alg: 'HS512' }),
      await sign({}, { kid }, OTHER_KEY),
      await sign({ exp: undefined }),
      await sign({ iat: undefined }),
      await sign({ iss: 'someone' }),
      await sign({ aud: 'something' }),
      await sign({ tenant: '../x' }),
      await sign({ jti: 7 }),
    ];
    const before = transactions;
    for (const credential of forged) expect(await sessions.authenticate(credential), credential).toBeNull();
    expect(transactions).toBe(before);

    // Signed with the key, and yet not what was minted.
    for (const changes of [{ space: 'other' }, { sub: 'bob' }, { jti: 'none' }, { tenant: 'other' }])
      expect(await sessions.authenticate(await sign(changes)), JSON.stringify(changes)).toBeNull();
    // The role is the stay's, whatever a token says.
    expect(await sessions.authenticate(await sign({ role: 'owner' }))).toMatchObject({ role: 'viewer' });
  });

  it('without a key mints nothing, says so before it writes, and knows no token', async () => {
    const { open, tenantId, mint } = await makeSessions(postgres);
    const { id, token } = await mint();
    const keyless = open({ keys: null });
    await expect(keyless.mint(tenantId, { userId: 'nobody', spaceId: 'main' })).rejects.toMatchObject({
      code: 'no_signing_key',
    });
    expect(await keyless.authenticate(token)).toBeNull();
    await keyless.end(tenantId, id);
  });

  it.each<[string, object, string]>([
    ['longer than a day', { ttlSeconds: 86_401 }, '/ttlSeconds'],
    ['no time at all', { ttlSeconds: 0 }, '/ttlSeconds'],
    ['part of a second', { ttlSeconds: 1.5 }, '/ttlSeconds'],
    ['a role there is none of', { role: 'admin' }, '/role'],
    ['a person that can be none', { userId: 'a/b' }, '/userId'],
    ['a space that can be none', { spaceId: '' }, '/spaceId'],
    ['what is not known', { tenantId: 'other' }, '/tenantId'],
  ])('refuses %s', async (_, input, path) => {
    const { mint } = await makeSessions(postgres);
    await expect(mint(input)).rejects.toMatchObject({ code: 'validation_failed', errors: [{ path }] });
  });
});

it('a heartbeat is one transaction, of two statements', async () => {
  const transactions: number[] = [];
  const postgres = openTestNeon((statements) => void transactions.push(statements));
  const { sessions, tenantId, mint } = await makeSessions(postgres);
  const { id } = await mint();
  transactions.length = 0;
  await sessions.heartbeat(tenantId, id);
  // These statements run in addition to setting the tenant.
  expect(transactions).toEqual([3]);
  await postgres.close();
});
