import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS, makeApiKeys, makeWorld, withHooks } from '../../test/layers.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';

describe.each(Object.entries(DRIVERS))('ApiKeys, %s', (_, openPostgres) => {
  const postgres = openPostgres();
  afterAll(() => postgres.close());

  it('gives out a key that authenticates, and keeps only its hash', async () => {
    const { tenantId } = await makeWorld(postgres);
    const keys = makeApiKeys(postgres);
    const issued = await keys.issue(tenantId, { scopes: ['read', 'write', 'read'] });
    expect(issued.secret).toMatch(new RegExp(`^wk_${tenantId}_[A-Za-z0-9_-]{43}$`));
    expect(issued).toMatchObject({ tenantId, scopes: ['read', 'write'], expiresAt: null, revokedAt: null });
    const { secret, ...key } = issued;
    expect(await keys.authenticate(secret)).toEqual(key);
    expect((await keys.list(tenantId, {})).items).toEqual([key]);
    expect(JSON.stringify(await keys.list(tenantId, {}))).not.toContain(secret);
  });

  it('knows no other credential', async () => {
    const { tenantId } = await makeWorld(postgres);
    const keys = makeApiKeys(postgres);
    const { secret } = await keys.issue(tenantId, { scopes: ['read'] });
    const swapped = secret.replace(tenantId, (await makeWorld(postgres)).tenantId);
    const other = secret.slice(0, -1) + (secret.endsWith('A') ? 'B' : 'A');
    for (const credential of ['', 'wk_', 'x', `${secret}x`, swapped, other, secret.toUpperCase()])
      expect(await keys.authenticate(credential), credential).toBeNull();
  });

  it('takes no key that is revoked or expired, nor one in a cache that has just been revoked', async () => {
    const { tenantId } = await makeWorld(postgres);
    let now = Date.parse('2026-01-01T00:00:00Z');
    const keys = makeApiKeys(postgres, () => now, 5_000);
    const issued = await keys.issue(tenantId, { scopes: ['read'], expiresAt: '2026-01-01T01:00:00Z' });
    expect(await keys.authenticate(issued.secret)).not.toBeNull();
    now += 3_599_999;
    expect(await keys.authenticate(issued.secret)).not.toBeNull();
    now += 1;
    expect(await keys.authenticate(issued.secret)).toBeNull();

    const second = await keys.issue(tenantId, { scopes: ['read'] });
    expect(await keys.authenticate(second.secret)).not.toBeNull();
    await keys.revoke(tenantId, second.id);
    await keys.revoke(tenantId, second.id);
    expect(await keys.authenticate(second.secret)).toBeNull();
    await expect(keys.revoke(tenantId, 'key_none')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('a key revoked elsewhere serves no longer than the cache holds it', async () => {
    const { tenantId } = await makeWorld(postgres);
    let now = Date.now();
    const here = makeApiKeys(postgres, () => now, 5_000);
    const { id, secret } = await here.issue(tenantId, { scopes: ['read'] });
    expect(await here.authenticate(secret)).not.toBeNull();
    await makeApiKeys(postgres).revoke(tenantId, id);
    now += 5_000;
    expect(await here.authenticate(secret)).toBeNull();
  });

  it('[F3] a key that was good serves for a while when the database is away, and no other does', async () => {
    const { tenantId } = await makeWorld(postgres);
    let now = Date.now();
    let isAway = false;
    const breaking = withHooks(postgres, {
      before: () => {
        if (isAway) throw new AppError('store_unavailable', 'away');
      },
    });
    const keys = makeApiKeys(breaking, () => now, 5_000);
    const [known, other] = [
      await keys.issue(tenantId, { scopes: ['read'] }),
      await keys.issue(tenantId, { scopes: ['read'] }),
    ];
    expect(await keys.authenticate(known.secret)).not.toBeNull();
    isAway = true;
    now += LIMITS.credentialStaleMsMax - 1;
    expect(await keys.authenticate(known.secret)).toMatchObject({ id: known.id });
    await expect(keys.authenticate(other.secret)).rejects.toMatchObject({ code: 'store_unavailable' });
    now += 5_000;
    await expect(keys.authenticate(known.secret)).rejects.toMatchObject({ code: 'store_unavailable' });
    isAway = false;
    await keys.revoke(tenantId, known.id);
    expect(await keys.authenticate(known.secret)).toBeNull();
  });

  it('refuses scopes there are none of, times gone by and unknown tenants', async () => {
    const { tenantId } = await makeWorld(postgres);
    const keys = makeApiKeys(postgres);
    const invalid = { code: 'validation_failed' };
    await expect(keys.issue(tenantId, { scopes: [] })).rejects.toMatchObject(invalid);
    await expect(keys.issue(tenantId, { scopes: ['root'] })).rejects.toMatchObject(invalid);
    const past = { scopes: ['read'], expiresAt: '2001-01-01T00:00:00Z' };
    await expect(keys.issue(tenantId, past)).rejects.toMatchObject({ errors: [{ path: '/expiresAt' }] });
    await expect(keys.issue('nobody', { scopes: ['read'] })).rejects.toMatchObject({ code: 'not_found' });
    await expect(keys.issueFirst('a/b', { scopes: ['read'] })).rejects.toMatchObject(invalid);
  });
});
