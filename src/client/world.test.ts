import { afterEach, describe, expect, it } from 'vitest';
import { startTcpProxy } from '../../test/tcp-proxy.ts';
import { type ConnectOptions, connect, type World, WorldkeepError } from './index.ts';
import { createMemoryStore } from './outbox-store.ts';
import { makeSharedStore } from './testing/histories.ts';
import { describeState, describeWorld, makePlace, type Place, useServer } from './testing/place.ts';

const server = useServer({ STREAM_HEARTBEAT_SECONDS: '1' });
const open = new Set<World>();

afterEach(async () => {
  await Promise.all([...open].map((world) => world.close({ timeoutMs: 0 })));
  open.clear();
});

function join(place: Place, options: Partial<ConnectOptions> = {}): World {
  const world = connect({ url: place.url, space: place.space, token: place.key, batchMs: 5, ...options });
  open.add(world);
  return world;
}

/** Resolves when the mirror shows the state of the server, with every operation confirmed. */
async function expectSame(place: Place, ...worlds: World[]): Promise<void> {
  for (const world of worlds)
    await expect
      .poll(async () => ({ unsent: world.unsent, ...describeWorld(world) }), { timeout: 10_000 })
      .toEqual({ unsent: 0, ...describeState(await place.state()) });
}

function nextError(world: World): Promise<WorldkeepError> {
  return new Promise((resolve) => world.on('error', resolve));
}

describe('a live world', () => {
  it('[K1] shows the state, and then each change of others', async () => {
    const place = await makePlace(server());
    await place.call('PUT', `/v1/spaces/${place.space}/objects/lamp`, { position: { x: 1, y: 2, z: 3 } });
    const token = await place.join('ann');
    const [ann, bob] = [join(place, { token }), join(place)];
    await Promise.all([ann.ready, bob.ready]);
    expect(ann.objects.get('lamp')).toMatchObject({ id: 'lamp', position: { x: 1, y: 2, z: 3 } });
    expect(ann.userId).toBe('ann');

    const events: string[] = [];
    bob.objects.on('enter', ({ id }) => events.push(`enter ${id}`));
    bob.objects.on('change', ({ id, name }, before) => events.push(`change ${id} ${before.name}->${name}`));
    bob.objects.on('leave', ({ id }) => events.push(`leave ${id}`));
    await ann.put('chair', { properties: { color: 'red' } }).reached('queued');
    await ann.patch('chair', { name: 'Chair' }).reached('queued');
    await ann.move('lamp', { position: { x: 0, y: 0, z: 1 } }).reached('queued');
    await ann.delete('chair').reached('queued');
    await expectSame(place, ann, bob);
    expect(events).toEqual([
      'enter chair',
      'change chair null->Chair',
      'change lamp null->null',
      'leave chair',
    ]);
  });

  it('shows avatars with their names, and the people who are present', async () => {
    const place = await makePlace(server());
    const [annToken, bobToken] = [await place.join('ann'), await place.join('bob', 'viewer')];
    const ann = join(place, { token: annToken });
    await ann.ready;
    const bob = join(place, { token: bobToken });
    await bob.ready;
    ann.moveAvatar({ position: { x: 1, y: 0, z: 0 } });
    bob.moveAvatar({ position: { x: 0, y: 0, z: 2 }, properties: { hat: 'green' } });
    await expect
      .poll(() => ann.users.get('bob'))
      .toMatchObject({ displayName: 'The bob', position: { x: 0, y: 0, z: 2 } });
    await expectSame(place, ann, bob);
    await expect.poll(() => ann.presence.users.map(({ userId }) => userId)).toEqual(['ann', 'bob']);
  });

  it('shows messages in the same order to all, its own immediately and once', async () => {
    const place = await makePlace(server());
    const [ann, bob] = [
      join(place, { token: await place.join('ann') }),
      join(place, { token: await place.join('bob', 'viewer') }),
    ];
    await Promise.all([ann.ready, bob.ready]);
    const shown = new Set<string>();
    ann.chat.on('change', () => shown.add(ann.chat.messages.map(({ text }) => text).join()));
    const sent = ann.say('Hello');
    expect(ann.chat.messages).toMatchObject([{ text: 'Hello', userId: 'ann', seq: 0 }]);
    await sent.reached('queued');
    await bob.say('Hi').reached('queued');
    await expectSame(place, ann, bob);
    expect(ann.chat.messages.map(({ text }) => text)).toEqual(['Hello', 'Hi']);
    expect([...shown].filter((texts) => texts.includes('Hello,Hello'))).toEqual([]);
  });

  it('[K1d] shows older messages in place of deleted ones', async () => {
    const place = await makePlace(server());
    for (let i = 0; i < 52; i++)
      await place.call('POST', `/v1/spaces/${place.space}/updates`, {
        ops: [{ op: 'chat.post', text: `${i}` }],
      });
    const world = join(place);
    await world.ready;
    expect(world.chat.messages).toHaveLength(50);
    await place.call('DELETE', `/v1/spaces/${place.space}/chat/${world.chat.messages[10]?.id}`);
    await expect.poll(() => world.chat.messages[0]?.text).toBe('1');
    await expectSame(place, world);
  });

  it('[K1c] loads a world that was saved as a whole', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.put('old').reached('committed');
    await place.call('PUT', `/v1/spaces/${place.space}/state`, { objects: { new: { name: 'New' } } });
    await expect.poll(() => [...world.objects.keys()]).toEqual(['new']);
    await expectSame(place, world);
  });
});

describe('own changes', () => {
  it('[K1a] show before the server answers, and the durability of each is visible', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    const sent = world.put('lamp', { position: { x: 1, y: 0, z: 0 } });
    expect(world.objects.get('lamp')).toMatchObject({ position: { x: 1, y: 0, z: 0 }, seq: 0 });
    expect([sent.durability, world.durabilityOf('lamp'), world.unsent]).toEqual(['local', 'local', 1]);
    await sent.reached('queued');
    expect(sent.seq).toBeGreaterThan(0);
    await sent.reached('committed');
    expect(world.durabilityOf('lamp')).toBe('committed');
    await expectSame(place, world);
  });

  it('travel together, as moves in columns', async () => {
    const place = await makePlace(server());
    const ids = Array.from({ length: 250 }, (_, i) => `o${i}`);
    const world = join(place, { batchMs: 20 });
    for (const id of ids) world.put(id);
    await Promise.all(ids.slice(-1).map((id) => world.put(id).reached('queued')));
    const { seq: since } = await world.put('o0').reached('queued');
    const moves = ids.map((id, i) => world.move(id, { position: { x: i, y: 0, z: 0 } }));
    await Promise.all(moves.map((move) => move.reached('queued')));
    expect(new Set(moves.map((move) => move.seq)).size).toBeLessThanOrEqual(3);
    const { changes } = await place.call<{ changes: { ops: { op: string; ids?: string[] }[] }[] }>(
      'GET',
      `/v1/spaces/${place.space}/changes?since=${since}`,
    );
    expect(changes.at(-1)?.ops[0]?.op).toBe('move');
    await expectSame(place, world);
  });

  it('[K2c] of one object are sent as one operation', async () => {
    const place = await makePlace(server());
    const world = join(place, { batchMs: 50 });
    await world.ready;
    world.put('lamp');
    for (let i = 1; i <= 1000; i++) world.patch('lamp', { properties: { i, [`k${i % 3}`]: i } });
    expect(world.unsent).toBe(1);
    expect(world.objects.get('lamp')?.properties).toEqual({ i: 1000, k0: 999, k1: 1000, k2: 998 });
    await world.patch('lamp', { position: { y: 5 } }).reached('queued');
    await expectSame(place, world);
    expect(world.objects.get('lamp')).toMatchObject({
      position: { x: 0, y: 5, z: 0 },
      properties: { i: 1000, k0: 999, k1: 1000, k2: 998 },
    });
  });

  it('[K2d] with a condition tell their outcome', async () => {
    const place = await makePlace(server());
    const world = join(place);
    await world.ready;
    const made = await world.put('lamp', { ifSeq: 0 }).reached('committed');
    expect(made.status).toBe('applied');
    const again = world.put('lamp', { name: 'Other', ifSeq: 0 });
    expect((await again.reached('queued')).status).toBe('conflict');
    expect((await world.patch('nothing', { name: 'x', ifSeq: 5 }).reached('queued')).status).toBe(
      'unknown_object',
    );
    await expectSame(place, world);
    expect(world.objects.get('lamp')?.name).toBeNull();
  });

  it('[K2e] that the server refuses are rolled back, and only their callers get the error', async () => {
    const place = await makePlace(server());
    const world = join(place, { batchMs: 30 });
    await world.ready;
    const refused: string[] = [];
    world.on('refused', (error, { id }) => refused.push(`${error.code} ${id}`));
    const good = Array.from({ length: 9 }, (_, i) => world.put(`good${i}`));
    const bad = world.put('bad', { properties: { text: 'x'.repeat(70_000) } });
    const wrong = world.put('also bad');
    const last = world.put('last');
    expect(world.objects.has('bad')).toBe(true);
    await expect(bad.reached('queued')).rejects.toThrow(WorldkeepError);
    await expect(wrong.reached('queued')).rejects.toMatchObject({ code: 'validation_failed', status: 422 });
    await Promise.all([...good, last].map((sent) => sent.reached('queued')));
    expect(refused.sort()).toEqual(['properties_too_large bad', 'validation_failed also bad']);
    expect(world.objects.has('bad')).toBe(false);
    await expectSame(place, world);
    expect(world.objects.size).toBe(10);
  });

  it('of a viewer are refused, but its avatar and its messages are not', async () => {
    const place = await makePlace(server());
    const world = join(place, { token: await place.join('eve', 'viewer'), batchMs: 30 });
    await world.ready;
    const put = world.put('lamp');
    const avatar = world.moveAvatar({ position: { x: 1, y: 1, z: 1 } });
    const message = world.say('Hello');
    await expect(put.reached('queued')).rejects.toMatchObject({ code: 'forbidden' });
    await Promise.all([avatar.reached('queued'), message.reached('queued')]);
    await expectSame(place, world);
  });
});

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
    await expect.poll(() => world.unsent, { timeout: 20_000 }).toBe(0);
    await expect.poll(() => world.status, { timeout: 20_000 }).toBe('live');
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
    expect([first.durability, second.durability]).toEqual(['local', 'local']);
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

describe('bad input', () => {
  it.each(['', 'worlds.example', 'ftp://worlds.example', 'http://'])('refuses the URL "%s"', (url) => {
    expect(() => connect({ url, space: 'main', token: 'x' })).toThrow(/is not an address such as https:/);
  });

  it('names a server that is not there, and keeps trying', async () => {
    const proxy = await startTcpProxy(1);
    const world = join({ ...(await makePlace(server())), url: `http://127.0.0.1:${proxy.port}` });
    const error = await nextError(world);
    expect(error.code).toBe('unreachable');
    expect(error.message).toContain('CORS_ALLOWED_ORIGINS');
    expect(world.status).toBe('offline');
    await world.close({ timeoutMs: 0 });
    await proxy.close();
  });

  it('names a server that answers HTML', async () => {
    const { createServer } = await import('node:http');
    const html = createServer((_, response) => {
      response.setHeader('Content-Type', 'text/html').end('<h1>It works</h1>');
    });
    await new Promise<void>((resolve) => html.listen(0, '127.0.0.1', resolve));
    const { port } = html.address() as { port: number };
    const world = join({ ...(await makePlace(server())), url: `http://127.0.0.1:${port}` });
    await expect.poll(() => world.error?.code).toBe('not_worldkeep');
    expect(world.error?.message).toContain('text/html');
    await world.close({ timeoutMs: 0 });
    html.close();
    html.closeAllConnections();
  });

  it('tells of a space that does not exist, and ends', async () => {
    const place = await makePlace(server());
    const world = join(place, { space: 'nowhere' });
    await expect(world.ready).rejects.toMatchObject({ code: 'not_found' });
  });

  it('[K5] waits for a new token if there is no hook, and loses no change', async () => {
    const place = await makePlace(server());
    const world = join(place, { token: 'wk_nobody_secret' });
    const sent = world.put('lamp');
    await expect.poll(() => world.status).toBe('unauthorized');
    world.setToken(place.key);
    await sent.reached('queued');
    await world.ready;
    await expectSame(place, world);
  });

  it('keeps its changes when its session ends', async () => {
    const place = await makePlace(server());
    const token = await place.join('ann');
    const world = join(place, { token });
    await world.ready;
    const { jti } = JSON.parse(atob(token.split('.')[1] ?? ''));
    await place.call('DELETE', `/v1/sessions/${jti}`);
    const sent = world.put('lamp');
    await expect.poll(() => world.status, { timeout: 15_000 }).toBe('unauthorized');
    expect([world.error?.code, world.unsent]).toEqual(['unauthorized', 1]);
    world.setToken(await place.join('ann'));
    await sent.reached('queued');
    await expectSame(place, world);
  });

  it('survives a hook that fails, and posts in the name of the person of its token', async () => {
    const place = await makePlace(server());
    const token = await place.join('ann', 'viewer');
    let asked = 0;
    const world = join(place, {
      token: async () => {
        if (++asked < 3) throw new Error('offline');
        return token;
      },
    });
    const error = nextError(world);
    const early = world.say('early');
    expect((await error).code).toBe('no_token');
    await early.reached('queued');
    await world.ready;
    expect(world.userId).toBe('ann');
    await world.say('late').reached('queued');
    await world.moveAvatar({ position: { x: 1, y: 0, z: 0 } }).reached('queued');
    await expectSame(place, world);
    expect(world.chat.messages.map(({ userId, text }) => `${userId} ${text}`)).toEqual([
      'ann early',
      'ann late',
    ]);
    expect(asked).toBe(3);
  });

  it('asks the hook for a new token when the last one ended', async () => {
    const place = await makePlace(server());
    const tokens = ['wk_nobody_secret', place.key, place.key];
    let asked = 0;
    const world = join(place, { token: async () => tokens[asked++] ?? place.key });
    await world.ready;
    await world.put('lamp').reached('queued');
    expect(asked).toBeGreaterThanOrEqual(2);
    expect(world.status).not.toBe('unauthorized');
  });
});
