import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNode } from '../../test/http/node-target.ts';
import { type FragileStores, OVER_TCP } from '../../test/http/runtimes.ts';
import type { Target } from '../../test/http/targets.ts';
import { expectSame, useClients } from './testing/clients.ts';
import { makePlace } from './testing/place.ts';

const join = useClients();

describe('a client while Redis is away', () => {
  let stores: FragileStores;
  let server: Target;
  beforeAll(async () => {
    stores = await OVER_TCP.openFragileStores();
    server = await startNode(OVER_TCP.makeEnv({ ...stores.env, REDIS_TIMEOUT_MS: '1000' }));
  });
  afterAll(async () => {
    await server?.stop();
    await stores?.close();
  });

  it('[K1e] [K2f] shows what Postgres keeps, once, and has the state of the server afterwards', async () => {
    const place = await makePlace(server);
    const early = join(place);
    await early.put('chair').reached('committed');
    stores.redis.inject('refuse');
    const sent = early.put('lamp');
    await sent.reached('spilled');
    const held = early.put('later');
    expect([sent.durability, early.durabilityOf('lamp')]).toEqual(['spilled', 'spilled']);
    expect([held.durability, early.durabilityOf('later'), early.unsent]).toEqual(['local', 'local', 1]);

    const late = await join(place).ready;
    expect([...late.objects.keys()].sort()).toEqual(['chair', 'lamp']);
    expect(['chair', 'lamp'].map((id) => late.durabilityOf(id))).toEqual(['committed', 'spilled']);
    await late.say('Hello').reached('spilled');
    // The client loads the world again, which has the message too.
    await new Promise((resolve) => late.on('seq', resolve));
    expect(late.chat.messages.map(({ text }) => text)).toEqual(['Hello']);

    stores.redis.clear();
    await expectSame(place, early, late);
    expect(late.chat.messages.map(({ text }) => text)).toEqual(['Hello']);
    for (const world of [early, late]) {
      expect([...world.objects.keys()].sort()).toEqual(['chair', 'lamp', 'later']);
      await expect.poll(() => world.durabilityOf('lamp')).toBe('committed');
    }
  });

  it('[K1e] takes no people and messages with provisional seqs', async () => {
    const place = await makePlace(server);
    const ann = join(place, { token: await place.join('ann') });
    await ann.moveAvatar({ position: { x: 1, y: 0, z: 0 } }).reached('committed');
    let answers = 0;
    const watcher = join(place, {
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        if (!String(input).includes('include=users,chat') || answers++ > 0) return answer;
        // An append was run, and its answer was lost. So the request was spilled, later than its entry in the log.
        const state = (await answer.json()) as { users: { seq: number }[] };
        const users = state.users.map((user) => ({ ...user, seq: user.seq + 60_000_000 }));
        return Response.json({ ...state, users, spilled: 1 });
      },
    });
    await watcher.ready;
    await expect.poll(() => answers, { timeout: 20_000 }).toBeGreaterThan(1);
    await expectSame(place, watcher, ann);
  });
});
