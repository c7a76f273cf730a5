import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import type { StreamPlace, StreamPlaces } from '../live/live-stores.ts';
import type { RedisClient } from './client.ts';
import { principalStreamsKey, spaceStreamsKey } from './keys.ts';
import { createStreamPlaces } from './stream-places.ts';

const LEASE_MS = 30_000;

describe.each(REDIS_WAYS)('[R2] the places of streams: %s', (_, openWay) => {
  let way: RedisWay;
  let redis: RedisClient;
  let places: StreamPlaces;
  beforeAll(async () => {
    way = await openWay();
    redis = way.open();
    places = createStreamPlaces(redis);
  });
  afterAll(async () => {
    await redis?.close();
    await way?.close();
  });

  function openTenant() {
    const tenantId = uniqueName('t');
    return (streamId: string, changes: Partial<StreamPlace> = {}): StreamPlace => ({
      tenantId,
      spaceId: 'main',
      streamId,
      principal: 'k:one',
      spaceMax: 3,
      principalMax: 2,
      ...changes,
    });
  }

  it('are as many as the space and the principal may have', async () => {
    const place = openTenant();
    expect(await places.take(place('a'), LEASE_MS)).toBe('taken');
    expect(await places.take(place('b'), LEASE_MS)).toBe('taken');
    expect(await places.take(place('c'), LEASE_MS)).toBe('principal_full');
    expect(await places.take(place('c', { spaceId: 'other' }), LEASE_MS)).toBe('principal_full');
    expect(await places.take(place('c', { principal: 's:two' }), LEASE_MS)).toBe('taken');
    expect(await places.take(place('d', { principal: 's:three' }), LEASE_MS)).toBe('space_full');
  });

  it('are held on to where all are taken, and free again when released', async () => {
    const place = openTenant();
    for (const id of ['a', 'b', 'a', 'b']) expect(await places.take(place(id), LEASE_MS)).toBe('taken');
    await places.release(place('a'));
    expect(await places.take(place('c'), LEASE_MS)).toBe('taken');
    expect(await places.take(place('a'), LEASE_MS)).toBe('principal_full');
  });

  it('are free again when their lease has run out, though others hold on to theirs', async () => {
    const place = openTenant();
    await places.take(place('a'), 50);
    await places.take(place('b'), LEASE_MS);
    await expect.poll(() => places.take(place('c'), LEASE_MS)).toBe('taken');
    expect(await places.take(place('a'), LEASE_MS)).toBe('principal_full');
  });

  it('are free again when their lease has run out, and leave nothing behind', async () => {
    const place = openTenant();
    const { tenantId } = place('');
    for (const id of ['a', 'b']) await places.take(place(id), 50);
    const keys = [spaceStreamsKey(place('')), principalStreamsKey(tenantId, 'k:one')];
    for (const key of keys) {
      const listTaken = async () => {
        await places.take(place('c'), LEASE_MS);
        return redis.command('ZRANGE', key, '0', '-1');
      };
      await expect.poll(listTaken).toEqual(['c']);
      expect(await redis.command('PTTL', key)).toBeGreaterThan(LEASE_MS - 10_000);
    }
  });
});
