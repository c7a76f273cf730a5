import { sql } from 'drizzle-orm';
import { afterAll, describe, expect, it } from 'vitest';
import { openTestPg } from '../../test/layers.ts';
import { makeLogSpace } from '../../test/log-space.ts';
import { deadLetters } from '../postgres/schema/log.ts';
import { DeadLetters } from './dead-letters.ts';
import { DirectLog } from './direct-log.ts';

/** Of two members this long an object can hold one. */
const LONG = 'x'.repeat(40_000);
const defer = () => undefined;

describe('[D5f] a dead letter that is replayed without a Redis', () => {
  const postgres = openTestPg();
  afterAll(() => postgres.close());

  /** A letter for which there is room now. */
  async function makeLetter() {
    const { store, world, address } = await makeLogSpace(postgres);
    const space = { ...address, spaceId: 'direct', actor: null };
    await world.putSpace(address.tenantId, space.spaceId, { name: 'Direct' });
    const log = new DirectLog(store, Date.now);
    await log.commit(space, [{ op: 'put', id: 'x', properties: { a: LONG } }]);
    await log.commit(space, [{ op: 'patch', id: 'x', properties: { b: LONG } }]);
    await log.commit(space, [{ op: 'patch', id: 'x', properties: { a: null } }]);
    const letters = new DeadLetters(store, log);
    const { items } = await letters.list(address.tenantId);
    const id = items[0]?.id ?? '';
    return { letters, store, log, id, tenantId: address.tenantId, space };
  }

  it('is applied once, however many replay it at the same moment', async () => {
    const { letters, store, id, tenantId, space } = await makeLetter();
    const replays = await Promise.allSettled(
      Array.from({ length: 3 }, () => letters.replay(tenantId, id, { defer })),
    );
    const [done, ...others] = replays.toSorted((a, b) => (a.status < b.status ? -1 : 1));
    expect(done).toMatchObject({ status: 'fulfilled', value: { results: [{ status: 'applied' }] } });
    for (const other of others) expect(other).toMatchObject({ reason: { code: 'conflict' } });
    const [object] = await store.loadObjects(space, ['x']);
    expect([object?.seq, object?.properties]).toEqual([
      done?.status === 'fulfilled' && done.value.seq,
      { b: LONG },
    ]);
  });

  it('may be replayed again where the replay failed, or ended without a word a minute ago', async () => {
    const { letters, store, log, id, tenantId } = await makeLetter();
    const failing = new DeadLetters(store, {
      ...log,
      async commit() {
        throw new Error('away');
      },
    } as unknown as DirectLog);
    await expect(failing.replay(tenantId, id, { defer })).rejects.toThrow('away');
    expect(await store.claimReplay(tenantId, id)).toBe(true);
    await expect(letters.replay(tenantId, id, { defer })).rejects.toMatchObject({ code: 'conflict' });
    await postgres.inTenant(tenantId, (db) => [
      db.update(deadLetters).set({ replayClaimedAt: sql`now() - interval '61 seconds'` }),
    ]);
    expect(await letters.replay(tenantId, id, { defer })).toMatchObject({ results: [{ status: 'applied' }] });
    expect(await store.claimReplay(tenantId, id)).toBe(false);
  });
});
