import { describe, expect, it } from 'vitest';
import type { Sent } from './index.ts';
import { expectSame, useClients } from './testing/clients.ts';
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
      expect(await outcome).toBe(durability === 'committed' ? 'committed' : 'uncertain');
      const { objects } = await place.state();
      expect(objects.map(({ id }) => id).includes('chair')).toBe(durability === 'committed');
      expect(bodies).toHaveLength(durability === 'committed' ? 2 : 1);
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

  it.each(['before the load', 'without an answer'])(
    '[K2g] a lost change does not overwrite a newer one of the same client, which was stored %s',
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
          // The change that was lost is missing in this load.
          if (path === '/changes') reloaded.resolve();
          if (path !== '/updates') return null;
          if (++updates === 1) return queued(world.seq + 1);
          if (updates > 2 || when === 'before the load') return null;
          const answer = await fetch(`${place.url}/v1/spaces/${place.space}/updates`, init);
          stored.resolve();
          await reloaded.promise;
          throw new TypeError(`the answer ${answer.status} is lost`);
        }),
      });
      await world.ready;
      const lost = world.move('chair', { position: { x: 1, y: 0, z: 0 } });
      await lost.reached('queued');
      const newer = world.move('chair', { position: { x: 2, y: 0, z: 0 } });
      await (when === 'before the load' ? newer.reached('queued') : stored.promise);
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
      expect(await outcomeOf(sent)).toBe(durability === 'committed' ? 'committed' : 'uncertain');
      await expectSame(place, world);
      expect(world.objects.has('chair')).toBe(durability === 'committed');
    },
  );
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
});
