import { describe, expect, it } from 'vitest';
import { startTcpProxy } from '../../test/tcp-proxy.ts';
import { createMemoryStore, type OutboxStore } from './outbox-store.ts';
import { expectSame, nextError, useClients } from './testing/clients.ts';
import { makeSharedStore } from './testing/histories.ts';
import { makePlace, useServer } from './testing/place.ts';

const server = useServer({ STREAM_HEARTBEAT_SECONDS: '1' });
const join = useClients();

describe('the outbox', () => {
  it('[K2b] loses nothing through an outage, and applies nothing twice', async () => {
    const place = await makePlace(server());
    const proxy = await startTcpProxy(Number(new URL(place.url).port));
    const world = join({ ...place, url: `http://127.0.0.1:${proxy.port}` });
    await world.ready;
    // The server applies the request, and its answer is lost.
    proxy.inject({ kind: 'drop-reply', match: 'POST' });
    world.say('once');
    await nextError(world);
    proxy.inject({ kind: 'refuse' });
    for (let i = 0; i < 1000; i++) world.put(`o${i}`, { properties: { i } });
    expect(world.objects.size).toBe(1000);
    proxy.clear();
    await expect.poll(() => world.unsent).toBe(0);
    await expect.poll(() => world.status).toBe('live');
    await expectSame(place, world);
    expect(world.chat.messages.map(({ text }) => text)).toEqual(['once']);
    await world.close({ timeoutMs: 0 });
    await proxy.close();
  });

  it('[K2a] sends what an earlier client left, under the same key', async () => {
    const place = await makePlace(server());
    const proxy = await startTcpProxy(Number(new URL(place.url).port));
    const shared = makeSharedStore();
    const before = join({ ...place, url: `http://127.0.0.1:${proxy.port}` }, { store: shared.open() });
    await before.ready;
    proxy.inject({ kind: 'drop-reply', match: 'POST' });
    before.say('left');
    await nextError(before);
    proxy.inject({ kind: 'refuse' });
    before.put('lamp');
    before.patch('lamp', { name: 'Lamp' });
    expect(await before.close({ timeoutMs: 0 })).toBe(2);
    expect(shared.records.size).toBe(2);

    const after = join(place, { store: shared.open() });
    await after.ready;
    await expect.poll(() => after.unsent).toBe(0);
    await expectSame(place, after);
    expect(after.objects.get('lamp')?.name).toBe('Lamp');
    expect(after.chat.messages.map(({ text }) => text)).toEqual(['left']);
    await expect.poll(() => shared.records.size).toBe(0);
    await proxy.close();
  });

  it('keeps changes that are made before the store has opened, after its older changes', async () => {
    const place = await makePlace(server());
    const shared = makeSharedStore();
    shared.records.set(1, { n: 1, ops: [{ op: 'put', id: 'lamp', name: 'Old' }] });
    const world = join(place, { store: shared.open() });
    world.patch('lamp', { name: 'New' });
    expect(await world.close({ timeoutMs: 0 })).toBe(2);
    const kept = [...shared.records.values()].flatMap(({ ops }) => ops);
    expect(kept.map(({ op }) => op)).toEqual(['put', 'patch']);
    const after = join(place, { store: shared.open() });
    await after.ready;
    await expectSame(place, after);
    expect(after.objects.get('lamp')?.name).toBe('New');
  });

  it('[K2f] holds back later changes while a write has no place in the order', async () => {
    const place = await makePlace(server());
    const bodies: string[] = [];
    const world = join(place, {
      fetch: async (input, init) => {
        if (init?.method !== 'POST') return fetch(input, init);
        bodies.push(String(init.body));
        if (bodies.length > 2) return fetch(input, init);
        // The answer of a server whose Redis is away: the write is stored, and its seq is not known yet.
        return Response.json({ accepted: 1, durability: 'spilled' }, { status: 202 });
      },
    });
    await world.ready;
    const first = world.put('first');
    await expect.poll(() => bodies.length).toBe(1);
    const second = world.put('second');
    await first.reached('spilled');
    expect([first.durability, second.durability]).toEqual(['spilled', 'local']);
    await Promise.all([first, second].map((sent) => sent.reached('queued')));
    expect(bodies.map((body) => JSON.parse(body).ops[0].id)).toEqual(['first', 'first', 'first', 'second']);
    await expectSame(place, world);
  });

  it('[K2] keeps changes until they are committed, if asked', async () => {
    const place = await makePlace(server());
    const shared = makeSharedStore();
    const world = join(place, { store: shared.open(), durability: 'committed' });
    await world.ready;
    const sent = world.put('lamp');
    await sent.reached('queued');
    expect(shared.records.size).toBe(1);
    await sent.reached('committed');
    await expect.poll(() => shared.records.size).toBe(0);
  });

  it('[K3a] works on a device whose clock is a day behind or ahead', async () => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/lamp`, {});
    const real = Date.now;
    for (const offsetMs of [-86_400_000, 86_400_000]) {
      Date.now = () => real() + offsetMs;
      try {
        // Sent before the client knows any seq.
        const world = join(place);
        await world.put(`made ${offsetMs}`.replace(' ', ':')).reached('committed');
        await world.say(`said ${offsetMs}`).reached('queued');
        await world.close();
      } finally {
        Date.now = real;
      }
    }
    const state = await place.state();
    expect(state.objects.map(({ id }) => id).sort()).toEqual(['lamp', 'made:-86400000', 'made:86400000']);
    expect(state.chat.map(({ text }) => text)).toEqual(['said -86400000', 'said 86400000']);
  });

  it.each([
    ['reached the server', true],
    ['was lost', false],
  ])(
    '[K3] neither loses nor repeats a message whose first request %s an hour ago',
    async (_, isDelivered) => {
      const place = await makePlace(server());
      let isFirst = true;
      const keys: string[] = [];
      const world = join(place, {
        fetch: async (input, init) => {
          if (init?.method !== 'POST') return fetch(input, init);
          keys.push(new Headers(init.headers).get('Idempotency-Key') ?? '');
          if (!isFirst) return fetch(input, init);
          isFirst = false;
          if (isDelivered) await (await fetch(input, init)).text();
          throw new TypeError('no answer');
        },
      });
      await world.ready;
      const real = Date.now;
      const sent = world.say('Hello');
      await nextError(world);
      Date.now = () => real() + 55 * 60_000;
      try {
        await sent.reached('queued');
      } finally {
        Date.now = real;
      }
      await expectSame(place, world);
      expect(world.chat.messages.map(({ text }) => text)).toEqual(['Hello']);
      expect(new Set(keys).size).toBe(isDelivered ? 1 : 2);
    },
  );

  it('[K4d] writes many changes together while its store is slow', async () => {
    const place = await makePlace(server());
    const proxy = await startTcpProxy(Number(new URL(place.url).port));
    const shared = makeSharedStore();
    const store = shared.open();
    const running: (() => void)[] = [];
    let writes = 0;
    const slow: OutboxStore = {
      ...store,
      write: async (...records) => {
        writes++;
        await new Promise<void>((resolve) => running.push(resolve));
        return store.write(...records);
      },
    };
    const world = join({ ...place, url: `http://127.0.0.1:${proxy.port}` }, { store: slow });
    await world.ready;
    proxy.inject({ kind: 'refuse' });
    world.put('o0');
    await expect.poll(() => writes).toBe(1);
    for (let i = 1; i < 100; i++) {
      world.put(`o${i}`);
      // A later task, as each event of a pointer is.
      await new Promise((resolve) => setTimeout(resolve));
    }
    expect(writes).toBe(1);
    running.shift()?.();
    await expect.poll(() => writes).toBe(2);
    running.shift()?.();
    const ops = () => [...shared.records.values()].flatMap((record) => record.ops);
    await expect.poll(() => ops().length).toBe(100);
    const closing = world.close({ timeoutMs: 0 });
    for (const resolve of running) resolve();
    await closing;
    await proxy.close();
  });

  it('[K4b] says so when its store fails, and continues in memory', async () => {
    const place = await makePlace(server());
    const full = { ...createMemoryStore(), write: () => Promise.reject(new Error('QuotaExceededError')) };
    const world = join(place, { store: full });
    const errors: string[] = [];
    world.on('error', ({ code }) => errors.push(code));
    await world.put('lamp').reached('committed');
    expect(errors).toEqual(['outbox_unavailable']);
  });
});
