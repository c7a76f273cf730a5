import { describe, expect, it } from 'vitest';
import { CacheManager, PersistenceLayer } from 'worldkeep';
import { stack, uniqueName } from './support.ts';

describe('the package', () => {
  it('works in a Node server under its own name, with plain Postgres', async () => {
    const persistence = new PersistenceLayer({ databaseUrl: stack().databaseUrl, tenantId: uniqueName('t') });
    await persistence.connect();
    await persistence.upsertUser({ id: 'user-456', displayName: 'Ann' });
    await persistence.saveObject({ id: 'obj-123', position: { x: 1, y: 2, z: 3 } });
    await persistence.updateObject('obj-123', { position: { x: 10, y: 20, z: 30 } });
    const worldState = await persistence.loadWorldState('main');
    expect(worldState.objects).toMatchObject([{ id: 'obj-123', position: { x: 10, y: 20, z: 30 } }]);

    await persistence.deleteObject('obj-123');
    expect((await persistence.loadWorldState('main')).objects).toEqual([]);
    await persistence.saveWorldState(worldState);
    expect((await persistence.loadWorldState('main')).objects).toHaveLength(1);
    expect(await persistence.getSpaceStatistics('main')).toMatchObject({ objects: 1 });
    await persistence.disconnect();
  });

  it('works in a Node server with plain Redis', async () => {
    const { hostname, port, password } = new URL(stack().redisUrl);
    const cache = new CacheManager({
      host: hostname,
      port,
      password: decodeURIComponent(password),
      tenantId: uniqueName('t'),
    });
    expect(await cache.setUserSession('user-456', { spaceId: 'main' })).toBe(true);
    expect(await cache.getUserSession('user-456')).toEqual({ spaceId: 'main' });
    expect(await cache.set('object', 'obj-123', { x: 1 }, 60)).toBe(true);
    expect(await cache.get('object', 'obj-123')).toEqual({ x: 1 });
    expect(await cache.checkRateLimit('user-456', 'move')).toMatchObject({ allowed: true });
    expect(await cache.cacheWorldState('main', { objects: [{ id: 'obj-123' }] })).toBe(true);
    expect(await cache.getCachedWorldState('main')).toEqual({ objects: [{ id: 'obj-123' }] });
    expect(await cache.getStats()).toMatchObject({ hits: 3, misses: 0, reachable: true });
    await cache.disconnect();
    expect(await cache.get('object', 'obj-123')).toBeNull();
    expect(() => new CacheManager({ port: 'sixty' })).toThrow('port must be a whole number');
  });

  it.each([
    [undefined, 'it is missing'],
    ['', 'it is missing'],
    ['hidden@localhost:5432/world', 'it is not one'],
    ['mysql://me:hidden@localhost/world', 'it is not one'],
  ])('refuses an invalid databaseUrl, without repeating it: %j', (databaseUrl, reason) => {
    const sentence = `databaseUrl must be a URL like postgresql://user:password@host/database; ${reason}.`;
    // A program in JavaScript may pass such values.
    const options = { databaseUrl } as { databaseUrl: string };
    expect(() => new PersistenceLayer(options)).toThrow(
      expect.objectContaining({ code: 'validation_failed', message: sentence }),
    );
  });

  it('reports that the database is away, for every call', async () => {
    const databaseUrl = 'postgresql://worldkeep_app:secret@127.0.0.1:9/nowhere';
    const persistence = new PersistenceLayer({ databaseUrl, timeoutMs: 2_000 });
    const away = { code: 'store_unavailable' };
    await expect(persistence.connect()).rejects.toMatchObject(away);
    await expect(persistence.loadWorldState('main')).rejects.toMatchObject(away);
    await expect(persistence.saveWorldState({ objects: [] })).rejects.toMatchObject(away);
    await persistence.disconnect();
  });
});
