import { describe, expect, it, vi } from 'vitest';
import { createMemoryStore, type OutboxStore } from './outbox-store.ts';
import { expectSame, nextError, useClients } from './testing/clients.ts';
import { type Fault, makeFetch } from './testing/make-fetch.ts';
import { makePlace, useServer } from './testing/place.ts';

const server = useServer({ STREAM_HEARTBEAT_SECONDS: '1' });
const join = useClients();

/** The answers in turn, to updates; then none. */
function answerUpdates(answers: (() => Response | Promise<Response>)[]): Fault {
  return (path) => (path === '/updates' ? (answers.shift()?.() ?? null) : null);
}

const html = (status: number) =>
  new Response('<h1>A proxy</h1>', { status, headers: { 'Content-Type': 'text/html' } });
const json = (status: number, text: string) =>
  new Response(text, { status, headers: { 'Content-Type': 'application/problem+json' } });
const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ code, detail: code }), {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
  });

describe('answers that no worldkeep gives', () => {
  it.each([
    ['a 503 with half of its JSON', () => json(503, '{"code": "una')],
    ['a 502 with null', () => json(502, 'null')],
    ['a 200 with null', () => new Response('null', { headers: { 'Content-Type': 'application/json' } })],
    ['a 202 without a seq', () => Response.json({ durability: 'queued' }, { status: 202 })],
    ['HTML with 404', () => html(404)],
    ['JSON of another server', () => Response.json({ hello: 1 })],
    ['a redirect', () => new Response(null, { status: 302, headers: { Location: '/login' } })],
    ['a failure that is no error of the SDK', () => Promise.reject(new RangeError('odd'))],
  ])('%s loses no change', async (_, answer) => {
    const place = await makePlace(server());
    const world = join(place, { fetch: makeFetch(answerUpdates([answer])) });
    await world.ready;
    const sent = world.put('chair');
    expect(['not_worldkeep', 'unreachable']).toContain((await nextError(world)).code);
    await sent.reached('queued');
    await expectSame(place, world);
  });

  it('a page of a proxy in place of the world does not end the connection', async () => {
    const place = await makePlace(server());
    let isProxy = false;
    const world = join(place, {
      fetch: makeFetch((path) => (isProxy && path !== '/updates' ? html(404) : null)),
    });
    await world.ready;
    isProxy = true;
    await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects: [] });
    expect(await nextError(world)).toMatchObject({ code: 'not_worldkeep', status: 404 });
    isProxy = false;
    await place.call('PUT', `/v1/spaces/${place.space}/objects/later`, {});
    await expect.poll(() => world.objects.has('later')).toBe(true);
  });

  it('a body that is too large for a proxy is sent in halves', async () => {
    const place = await makePlace(server());
    const sizes: number[] = [];
    const world = join(place, {
      batchMs: 50,
      fetch: makeFetch((path, { body }) => {
        if (path !== '/updates') return null;
        sizes.push(JSON.parse(String(body)).ops.length);
        return (sizes.at(-1) ?? 0) > 2 ? html(413) : null;
      }),
    });
    await world.ready;
    for (let i = 0; i < 4; i++) world.put(`o${i}`);
    await expectSame(place, world);
    expect(sizes[0]).toBe(4);
    expect(world.objects.size).toBe(4);
  });

  it('a server that always answers the same refusal is not asked in a loop', async () => {
    const place = await makePlace(server());
    for (const code of ['idempotency_key_reused', 'key_expired']) {
      let requests = 0;
      const world = join(place, {
        fetch: makeFetch((path) => {
          if (path === '/updates') requests++;
          return path === '/updates' ? problem(409, code) : null;
        }),
      });
      await world.ready;
      world.put('chair');
      await expect.poll(() => requests).toBeGreaterThan(1);
      const before = requests;
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 0));
      expect(requests - before).toBeLessThan(3);
      await world.close({ timeoutMs: 0 });
    }
  });

  it('a pause of a month that a server asks for ends with a new token', async () => {
    const place = await makePlace(server());
    const busy = () => problem(503, 'unavailable', { 'Retry-After': '3000000' });
    const world = join(place, { fetch: makeFetch(answerUpdates([busy])) });
    await world.ready;
    const sent = world.put('chair');
    await nextError(world);
    world.setToken(place.key);
    await sent.reached('queued');
  });
});

describe('the arguments of calls', () => {
  it('an object of the mirror can be put under another id', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    await world.put('chair', { name: 'Chair', properties: { color: 'red' } }).reached('queued');
    await expectSame(place, world);
    await world.put('copy', world.objects.get('chair')).reached('queued');
    await expectSame(place, world);
    expect(world.objects.get('copy')).toMatchObject({ name: 'Chair', properties: { color: 'red' } });
  });

  it('a list in place of a vector is refused, and a part of a vector is not', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    await world.put('chair', { position: { x: 1, y: 2, z: 3 } }).reached('queued');
    const wrong = world.move('chair', { position: [4, 5, 6] as never });
    await expect(wrong.reached('queued')).rejects.toThrow('/ops/0/position');
    await world.move('chair', { position: { y: 0 } }).reached('queued');
    await expectSame(place, world);
    expect(world.objects.get('chair')?.position).toEqual({ x: 1, y: 0, z: 3 });
  });

  it('a level that does not exist is an error', async () => {
    const place = await makePlace(server());
    const sent = join(place).put('chair');
    await expect(sent.reached('commited' as never)).rejects.toThrow('There is no level "commited".');
  });
});

describe('one wrong change', () => {
  it('[K2e] does not take the changes along that it was merged with', async () => {
    const place = await makePlace(server());
    const world = join(place, { batchMs: 50 });
    await world.ready;
    const put = world.put('chair', { properties: { color: 'red' } });
    const wrong = world.patch('chair', { name: 'x'.repeat(300) });
    const move = world.move('chair', { position: { x: 4, y: 0, z: 0 } });
    await expect(wrong.reached('queued')).rejects.toMatchObject({ code: 'validation_failed' });
    await Promise.all([put.reached('queued'), move.reached('queued')]);
    await expectSame(place, world);
    expect(world.objects.get('chair')).toMatchObject({ name: null, position: { x: 4, y: 0, z: 0 } });
  });

  it('with null for a vector is refused, and later changes are sent', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    const wrong = world.patch('chair', { position: null } as never);
    await expect(wrong.reached('queued')).rejects.toMatchObject({ code: 'validation_failed' });
    await world.put('lamp').reached('queued');
    await expectSame(place, world);
  });

  it('does not stop the outbox when a listener throws', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    const thrown: unknown[] = [];
    const listen = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => {
      try {
        task();
      } catch (error) {
        thrown.push(error);
      }
    });
    world.objects.watch('chair', () => {
      throw new Error('listener');
    });
    await world.put('chair').reached('queued');
    await world.put('lamp').reached('queued');
    listen.mockRestore();
    expect(String(thrown[0])).toBe('Error: listener');
  });
});

describe('the order of events', () => {
  it('is the same for all listeners when one of them changes the world', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    const seen: (number | undefined)[] = [];
    world.objects.on('enter', ({ id }) => world.move(id, { position: { x: 2, y: 0, z: 0 } }));
    world.objects.on('enter', ({ position }) => seen.push(position.x));
    world.objects.on('change', ({ position }) => seen.push(position.x));
    world.put('chair', { position: { x: 1, y: 0, z: 0 } });
    expect(seen).toEqual([1, 2]);
  });

  it('names an object once that a listener adds while the world is loaded', async () => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/chair`, {});
    const world = join(place);
    const seen: string[] = [];
    world.objects.on('enter', ({ id }) => {
      seen.push(id);
      if (id === 'chair') world.put('label');
    });
    await world.ready;
    expect(seen).toEqual(['chair', 'label']);
  });

  it('tells of each object once, first that it enters, when a listener changes another object of the same step', async () => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/old`, {});
    const world = join(place);
    await world.ready;
    const seen: string[] = [];
    const at = (x: number) => ({ position: { x, y: 0, z: 0 } });
    world.objects.on('enter', ({ id, position }) => {
      seen.push(`enter ${id} ${position.x}`);
      if (id === 'a') world.move('b', at(2));
    });
    world.objects.on('change', (now, before) =>
      seen.push(`change ${now.id} ${before.position.x} ${now.position.x}`),
    );
    world.objects.on('leave', ({ id }) => {
      seen.push(`leave ${id}`);
      world.put('label');
    });
    const ops = ['a', 'b'].map((id) => ({ op: 'put', id, ...at(1) }));
    await place.call('POST', `/v1/spaces/${place.space}/updates`, { ops });
    await expect.poll(() => seen.length).toBeGreaterThan(2);
    expect(seen.slice(0, 3)).toEqual(['enter a 1', 'enter b 1', 'change b 1 2']);
    await expect.poll(() => world.unsent).toBe(0);
    seen.length = 0;
    await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects: [{ id: 'new' }] });
    await expect.poll(() => world.objects.has('new')).toBe(true);
    expect(seen.filter((event) => event.endsWith('label 0'))).toEqual(['enter label 0']);
  });
});

describe('endings', () => {
  it('are final for a space that does not exist', async () => {
    const place = await makePlace(server());
    const world = join({ ...place, space: 'nowhere' });
    await expect(world.ready).rejects.toMatchObject({ code: 'not_found' });
    await expect.poll(() => world.status).toBe('closed');
  });

  it('settle all promises', async () => {
    const place = await makePlace(server());
    const world = join(place, { fetch: makeFetch((path) => (path === '/updates' ? html(503) : null)) });
    await world.ready;
    const before = world.put('chair');
    const asked = before.reached('queued').catch(({ code }) => code);
    await nextError(world);
    world.put('lamp');
    expect(await world.close({ timeoutMs: 0 })).toBe(2);
    expect(await asked).toBe('closed');
    await expect(before.reached('queued')).rejects.toMatchObject({ code: 'closed' });
    for (const late of [world.put('late'), world.patch('lamp', { name: 'Late' })])
      await expect(late.reached('queued')).rejects.toMatchObject({ code: 'closed' });
    expect(world.unsent).toBe(2);
  });

  it('do not wait for a store that hangs', async () => {
    const place = await makePlace(server());
    const never = () => new Promise<never>(() => undefined);
    for (const hangs of [{ open: never }, { write: never }]) {
      const store: OutboxStore = { ...createMemoryStore(), ...hangs };
      const world = join(place, { store });
      await world.ready;
      world.put('chair');
      expect(await world.close({ timeoutMs: 0 })).toBe(1);
    }
  });

  it('send what waits for a long batch', async () => {
    const place = await makePlace(server());
    const world = join(place, { batchMs: 3_600_000 });
    await world.ready;
    world.put('chair');
    expect(await world.close()).toBe(0);
  });
});

describe('tokens', () => {
  it('the status is live again after a new one, although the stream stayed open', async () => {
    const place = await makePlace(server());
    let isExpired = false;
    const world = join(place, {
      fetch: makeFetch((path) => (isExpired && path === '/updates' ? problem(401, 'unauthorized') : null)),
    });
    await world.ready;
    await expect.poll(() => world.status).toBe('live');
    isExpired = true;
    const sent = world.put('chair');
    await expect.poll(() => world.status).toBe('unauthorized');
    isExpired = false;
    world.setToken(place.key);
    await sent.reached('queued');
    expect(world.status).toBe('live');
  });

  it('a listener of the error may set a new one', async () => {
    const place = await makePlace(server());
    const world = join(place, { token: 'wk_wrong_token' });
    world.on('error', () => world.setToken(place.key));
    await world.ready;
    await world.put('chair').reached('queued');
  });

  it('a function that never gives one does not keep `setToken` from its work', async () => {
    const place = await makePlace(server());
    const world = join(place, { token: () => new Promise(() => undefined), userId: 'ann' });
    world.setToken(place.key);
    await world.ready;
    await world.put('chair').reached('queued');
  });
});

describe('a long time offline', () => {
  it('[K2c] keeps one change for each object, and few handles', async () => {
    const place = await makePlace(server());
    let isOffline = true;
    const world = join(place, {
      fetch: makeFetch((path) => (isOffline && path === '/updates' ? html(502) : null)),
    });
    await world.ready;
    const sent = new Set<unknown>();
    for (let frame = 0; frame < 40; frame++)
      for (let i = 0; i < 1_500; i++) sent.add(world.move(`o${i}`, { position: { x: frame, y: 0, z: i } }));
    // The first batch may be on its way.
    expect(world.unsent).toBeLessThanOrEqual(1_600);
    expect(sent.size).toBeLessThan(1_500 * 22);
    isOffline = false;
    world.setToken(place.key);
    await expect.poll(() => world.unsent).toBe(0);
  });

  it('[K3] finds its message among many of others', async () => {
    const place = await makePlace(server());
    const world = join(place, {
      fetch: async (input, init) => {
        if (init?.method !== 'POST' || isDone) return fetch(input, init);
        isDone = true;
        const ops = Array.from({ length: 250 }, (_, i) => ({ op: 'chat.post', text: `other ${i}` }));
        await place.call('POST', `/v1/spaces/${place.space}/updates`, { ops });
        await (await fetch(input, init)).text();
        throw new TypeError('no answer');
      },
    });
    let isDone = false;
    await world.ready;
    const real = Date.now;
    const sent = world.say('Mine');
    await nextError(world);
    // The clock was a day ahead, and is right now.
    Date.now = () => real() - 86_400_000;
    try {
      await sent.reached('queued');
    } finally {
      Date.now = real;
    }
    const { items } = await place.call<{ items: { text: string }[] }>(
      'GET',
      `/v1/spaces/${place.space}/chat?limit=200`,
    );
    expect(items.filter(({ text }) => text === 'Mine')).toHaveLength(1);
  });
});
