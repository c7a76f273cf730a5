import { afterAll, expect, it } from 'vitest';
import { makeWorld, openTestPg } from '../../test/layers.ts';
import { DirectLog } from '../log/direct-log.ts';
import { createDrainStore } from '../postgres/drain-store.ts';
import { createWorldStore } from '../postgres/world-store.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { erasePerson } from './erase-person.ts';
import type { PersonTraces } from './world-stores.ts';

const postgres = openTestPg();
afterAll(() => postgres.close());

/** An erasure on the real Postgres, with a Redis that answers as the test says. */
async function open(changes: Partial<PersonTraces>) {
  const { layer, tenantId } = await makeWorld(postgres);
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  const calls: string[] = [];
  const traces: PersonTraces = {
    ping: async () => undefined,
    find: async () => [],
    forget: async () => true,
    removeKeys: async () => 0,
    readSessionData: async () => null,
    ...changes,
  };
  const erase = () =>
    erasePerson(
      {
        store: createWorldStore(postgres),
        log: new DirectLog(createDrainStore(postgres), Date.now),
        parts: {
          traces,
          drainSpace: async () => void calls.push('drain'),
          drainEvents: async () => void calls.push('events'),
        },
        tenantId,
        invalidateWhile: (write) => write(),
        removeObject: null,
        defer: () => undefined,
      },
      'ann',
    );
  return { layer, calls, erase };
}

const away = new AppError('store_unavailable', 'Redis does not answer.');
const refuse = async () => {
  throw away;
};

it('[T8f] an erasure without Redis erases nothing', async () => {
  const { layer, calls, erase } = await open({ ping: refuse });
  await expect(erase()).rejects.toBe(away);
  expect((await layer.getUser('ann')).displayName).toBe('Ann');
  expect(calls).toEqual([]);
});

it('[T8f] the next erasure continues where one failed, until nothing is left', async () => {
  let keys = 2;
  let isAway = true;
  const removeKeys = async () => {
    if (isAway) throw away;
    const removed = keys;
    keys = 0;
    return removed;
  };
  const { layer, erase } = await open({ removeKeys });
  await expect(erase()).rejects.toBe(away);
  await expect(layer.getUser('ann')).rejects.toMatchObject({ code: 'not_found' });
  isAway = false;
  expect(await erase()).toMatchObject({ profiles: 0, keys: 2 });
  await expect(erase()).rejects.toMatchObject({ code: 'not_found' });
});

it('[T8f] commits entries that came meanwhile, and gives up if they come again and again', async () => {
  const named = (times: number): Partial<PersonTraces> => {
    let left = times;
    return {
      find: async (_, logs) => logs.map((log) => ({ log, seq: 5 })),
      forget: async () => --left < 0,
    };
  };
  const once = await open(named(1));
  expect(await once.erase()).toMatchObject({ profiles: 1 });
  expect(once.calls).toEqual(['drain', 'events', 'drain', 'events']);
  const always = await open(named(Number.POSITIVE_INFINITY));
  await expect(always.erase()).rejects.toMatchObject({ code: 'store_unavailable', retryAfterSeconds: 5 });
  expect(always.calls.filter((call) => call === 'drain')).toHaveLength(LIMITS.erasureRoundsMax);
});
