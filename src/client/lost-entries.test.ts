import { describe, expect, it, vi } from 'vitest';
import type { Sent } from './index.ts';
import { expectSame, useClients } from './testing/clients.ts';
import { makeSharedStore } from './testing/histories.ts';
import { makeFetch } from './testing/make-fetch.ts';
import { makePlace, useServer } from './testing/place.ts';

const server = useServer({ STREAM_HEARTBEAT_SECONDS: '1' });
const join = useClients();

/** Whether a change was committed, or the code of its error. */
const outcomeOf = (sent: Sent): Promise<string> =>
  sent.reached('committed').then(
    () => 'committed',
    ({ code }) => code,
  );
const queued = (seq: number) => Response.json({ accepted: 1, seq, durability: 'queued' }, { status: 202 });

/**
 * A stream in place of the first one of the server. It is silent, so that no test depends on when the server commits.
 * @returns a fault for `/stream`, and a function that ends the stream with a `reset`
 */
function makeSilentStream() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let isFirst = true;
  return {
    open(): Response | null {
      if (!isFirst) return null;
      isFirst = false;
      const body = new ReadableStream<Uint8Array>({
        start(opened) {
          controller = opened;
        },
      });
      return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
    },
    reset() {
      controller?.enqueue(new TextEncoder().encode('event: reset\ndata: {"seq":1}\n\n'));
      controller?.close();
    },
  };
}

describe('entries that the log has lost', () => {
  it.each(['queued', 'committed'] as const)(
    '[K2g] with the level %s, no lost change is called committed',
    async (durability) => {
      const place = await makePlace(server());
      const bodies: string[] = [];
      const world = join(place, {
        durability,
        fetch: makeFetch((path, { body }) => {
          if (path !== '/updates') return null;
          // Accepted, and lost with its Redis.
          return bodies.push(String(body)) > 1 ? null : queued(world.seq + 1);
        }),
      });
      await world.ready;
      const sent = world.put('chair');
      await sent.reached('queued');
      const outcome = outcomeOf(sent);
      // Saving a world resets the stream.
      await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects: [{ id: 'lamp' }] });
      expect(await outcome).toBe('committed');
      await expectSame(place, world);
      expect([...world.objects.keys()].sort()).toEqual(['chair', 'lamp']);
      expect(bodies).toEqual([bodies[0], bodies[0]]);
    },
  );

  it.each(['queued', 'committed'] as const)(
    '[K2g] with the level %s, a change whose answer comes after the load is sent again',
    async (durability) => {
      const place = await makePlace(server());
      const late = Promise.withResolvers<void>();
      const bodies: string[] = [];
      const world = join(place, {
        durability,
        fetch: makeFetch(async (path, { body }) => {
          if (path !== '/updates' || bodies.push(String(body)) > 1) return null;
          const seq = world.seq + 1;
          await late.promise;
          return queued(seq);
        }),
      });
      await world.ready;
      const sent = world.put('chair');
      await expect.poll(() => bodies.length).toBe(1);
      await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects: [{ id: 'lamp' }] });
      await expect.poll(() => world.objects.has('lamp')).toBe(true);
      late.resolve();
      expect(await outcomeOf(sent)).toBe('committed');
      expect(bodies).toEqual([bodies[0], bodies[0]]);
      await expectSame(place, world);
    },
  );

  it.each(['queued', 'committed', 'stored without an answer'])(
    '[K2g] a lost change does not overwrite a newer one of the same client that was %s before the load',
    async (when) => {
      const place = await makePlace(server());
      await place.call('PUT', `/v1/spaces/${place.space}/objects/chair`, {});
      const stream = makeSilentStream();
      const [stored, reloaded] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let updates = 0;
      const world = join(place, {
        durability: 'committed',
        fetch: makeFetch(async (path, init) => {
          if (path === '/stream') return stream.open();
          if (path !== '/updates') return null;
          if (++updates === 1) return queued(world.seq + 1);
          if (updates > 2 || when === 'queued') return null;
          const url = `${place.url}/v1/spaces/${place.space}/updates`;
          const headers = { ...(init.headers as Record<string, string>), Prefer: 'wait' };
          // A server that commits each write before it answers.
          if (when === 'committed') return fetch(url, { ...init, headers });
          const answer = await fetch(url, init);
          stored.resolve();
          await reloaded.promise;
          throw new TypeError(`the answer ${answer.status} is lost`);
        }),
      });
      await world.ready;
      world.on('seq', () => reloaded.resolve());
      const lost = world.move('chair', { position: { x: 1, y: 0, z: 0 } });
      await lost.reached('queued');
      const newer = world.move('chair', { position: { x: 2, y: 0, z: 0 } });
      await (when === 'queued' || when === 'committed' ? newer.reached(when) : stored.promise);
      stream.reset();
      expect(await Promise.all([lost, newer].map(outcomeOf))).toEqual(['committed', 'committed']);
      await expectSame(place, world);
      expect(world.objects.get('chair')?.position.x).toBe(2);
    },
  );

  it.each(['queued', 'committed'] as const)(
    '[K2g] [K1e] with the level %s, a provisional state does not call a lost change committed',
    async (durability) => {
      const place = await makePlace(server());
      const stream = makeSilentStream();
      let [updates, loads] = [0, 0];
      const world = join(place, {
        durability,
        fetch: makeFetch(async (path, init) => {
          if (path === '/stream') return stream.open();
          if (path === '/updates') return ++updates === 1 ? queued(world.seq + 1) : null;
          if (path !== '/state' || ++loads !== 2) return null;
          const answer = await fetch(`${place.url}/v1/spaces/${place.space}/state`, init);
          return Response.json({ ...(await answer.json()), spilled: 0 });
        }),
      });
      await world.ready;
      const sent = world.put('chair');
      await sent.reached('queued');
      await place.call('PUT', `/v1/spaces/${place.space}/objects/lamp`, {});
      stream.reset();
      expect(await outcomeOf(sent)).toBe('committed');
      await expectSame(place, world);
      expect(world.objects.has('chair')).toBe(true);
      expect(updates).toBe(2);
    },
  );
});

const at = (x: number) => ({ position: { x, y: 0, z: 0 } });

describe('changes behind an entry that the log has lost', () => {
  it.each(['queued', 'committed'] as const)(
    '[K2g] with the level %s, a change is sent again if it is missing between two entries',
    async (durability) => {
      const place = await makePlace(server());
      let updates = 0;
      const world = join(place, {
        durability,
        fetch: makeFetch((path) => (path === '/updates' && ++updates === 1 ? queued(world.seq + 1) : null)),
      });
      await world.ready;
      const sent = world.put('chair');
      await sent.reached('queued');
      await place.call('PUT', `/v1/spaces/${place.space}/objects/lamp`, {});
      expect(await outcomeOf(sent)).toBe('committed');
      await expectSame(place, world);
      expect([...world.objects.keys()].sort()).toEqual(['chair', 'lamp']);
    },
  );

  it('[K1a] stay visible, and count as unsent, while they are sent again', async () => {
    const place = await makePlace(server());
    const stream = makeSilentStream();
    const [again, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let updates = 0;
    const world = join(place, {
      fetch: makeFetch(async (path) => {
        if (path === '/stream') return stream.open();
        if (path !== '/updates') return null;
        if (++updates === 1) return Response.json({ accepted: 1, durability: 'spilled' }, { status: 202 });
        if (updates === 2) return queued(world.seq + 1);
        again.resolve();
        await go.promise;
        return null;
      }),
    });
    await world.ready;
    const left: string[] = [];
    world.objects.on('leave', ({ id }) => left.push(id));
    await world.put('chair').reached('queued');
    stream.reset();
    await again.promise;
    expect([world.objects.has('chair'), world.unsent, world.durabilityOf('chair')]).toEqual([
      true,
      1,
      'local',
    ]);
    go.resolve();
    await expectSame(place, world);
    expect([world.objects.has('chair'), left]).toEqual([true, []]);
  });

  it('[K2g] an older change of the same client does not come back over a newer one of somebody else', async () => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/chair`, {});
    const stream = makeSilentStream();
    let updates = 0;
    const world = join(place, {
      durability: 'committed',
      fetch: makeFetch((path) => {
        if (path === '/stream') return stream.open();
        if (path !== '/updates') return null;
        updates++;
        return updates === 1 || updates === 3 ? queued(Date.now() * 1_000) : null;
      }),
    });
    await world.ready;
    const lost = world.put('lamp');
    await lost.reached('queued');
    await world.move('chair', at(1)).reached('queued');
    const ops = [{ op: 'patch', id: 'chair', ...at(9) }];
    await place.call('POST', `/v1/spaces/${place.space}/updates`, { ops });
    const alsoLost = world.patch('chair', { name: 'Chair' });
    await alsoLost.reached('queued');
    stream.reset();
    expect(await Promise.all([lost, alsoLost].map(outcomeOf))).toEqual(['committed', 'committed']);
    await expectSame(place, world);
    expect(world.objects.get('chair')).toMatchObject({ name: 'Chair', ...at(9) });
  });

  it('[K2g] a lost change does not overwrite a newer one of the same client after a reload', async () => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/chair`, {});
    const shared = makeSharedStore();
    let updates = 0;
    const stream = makeSilentStream();
    const before = join(place, {
      durability: 'committed',
      store: shared.open(),
      fetch: makeFetch((path) => {
        if (path === '/stream') return stream.open();
        return path === '/updates' && ++updates === 1 ? queued(before.seq + 1) : null;
      }),
    });
    await before.ready;
    await before.move('chair', at(1)).reached('queued');
    await before.move('chair', at(2)).reached('queued');
    await before.close({ timeoutMs: 0 });
    expect(shared.records.size).toBe(2);
    const after = join(place, { durability: 'committed', store: shared.open() });
    await after.ready;
    await expect.poll(() => shared.records.size).toBe(0);
    await expectSame(place, after);
    expect(after.objects.get('chair')?.position.x).toBe(2);
  });
});

describe('changes that the loaded world does not show, although the log has them', () => {
  it('[K2g] a change that is accepted while the server answers with an older state is not missing', async () => {
    const place = await makePlace(server());
    const [read, accepted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const world = join(place, {
      fetch: async (input, init) => {
        if (init?.method === 'POST') await read.promise;
        const answer = await fetch(input, init);
        if (!String(input).includes('/state')) return answer;
        const older = await answer.text();
        read.resolve();
        await accepted.promise;
        return new Response(older, answer);
      },
    });
    const sent = world.put('chair');
    await sent.reached('queued');
    accepted.resolve();
    await sent.reached('committed');
    await expectSame(place, world);
  });

  it('[K2g] a change that a later one overwrote is not missing', async () => {
    const place = await makePlace(server());
    const written = Promise.withResolvers<void>();
    const world = join(place, {
      fetch: makeFetch(async (path, init) => {
        if (path !== '/state') return null;
        await written.promise;
        const answer = await fetch(
          `${place.url}/v1/spaces/${place.space}/state?include=objects,users,chat`,
          init,
        );
        // Postgres does not have them yet.
        return Response.json({ ...(await answer.json()), durableSeq: 0 });
      }),
    });
    const put = world.put('chair');
    await put.reached('queued');
    const moved = world.move('chair', { position: { x: 1, y: 0, z: 0 } });
    const removed = world.delete('lamp');
    const placed = world.put('lamp');
    await Promise.all([moved, removed, placed].map((sent) => sent.reached('queued')));
    const outcomes = Promise.all([put, moved, removed, placed].map(outcomeOf));
    written.resolve();
    expect(await outcomes).toEqual(['committed', 'committed', 'committed', 'committed']);
    await expectSame(place, world);
  });

  it.each([
    ['within an hour', 0, 'committed'],
    ['too old for its key', 55, 'uncertain'],
  ])('[K2g] a change that somebody else covered is not written again: %s', async (_, minutes, outcome) => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/chair`, {});
    const stream = makeSilentStream();
    const keys: (string | null)[] = [];
    const world = join(place, {
      durability: 'committed',
      fetch: makeFetch((path, { headers }) => {
        if (path === '/updates') keys.push(new Headers(headers).get('Idempotency-Key'));
        return path === '/stream' ? stream.open() : null;
      }),
    });
    await world.ready;
    const covered = world.patch('chair', { name: 'Mine' });
    await covered.reached('queued');
    const ops = [{ op: 'patch', id: 'chair', name: 'Theirs' }];
    await place.call('POST', `/v1/spaces/${place.space}/updates`, { ops });
    const real = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => real() + minutes * 60_000);
    stream.reset();
    try {
      expect(await outcomeOf(covered)).toBe(outcome);
    } finally {
      clock.mockRestore();
    }
    await expectSame(place, world);
    expect(world.objects.get('chair')?.name).toBe('Theirs');
    expect(new Set(keys).size).toBe(1);
  });

  it.each(['queued', 'committed'] as const)(
    '[K2g] with the level %s, changes from before the save of a world are not written into it again',
    async (durability) => {
      const place = await makePlace(server());
      const stream = makeSilentStream();
      const [stored, reloaded] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let updates = 0;
      const world = join(place, {
        durability,
        fetch: makeFetch(async (path, init) => {
          if (path === '/stream') return stream.open();
          if (path !== '/updates' || ++updates !== 2) return null;
          const answer = await fetch(`${place.url}/v1/spaces/${place.space}/updates`, init);
          const text = await answer.text();
          stored.resolve();
          await reloaded.promise;
          return new Response(text, answer);
        }),
      });
      await world.ready;
      world.on('seq', () => reloaded.resolve());
      const first = world.put('first');
      await first.reached('queued');
      const second = world.put('second');
      await stored.promise;
      await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects: [{ id: 'lamp' }] });
      stream.reset();
      expect(await Promise.all([first, second].map(outcomeOf))).toEqual(['committed', 'committed']);
      await expectSame(place, world);
      expect([...world.objects.keys()]).toEqual(['lamp']);
    },
  );
});
