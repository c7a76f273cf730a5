import { describe, expect, it } from 'vitest';
import { startTcpProxy } from '../../test/tcp-proxy.ts';
import { connect, WorldkeepError } from './index.ts';
import { expectSame, nextError, useClients } from './testing/clients.ts';
import { makePlace, useServer } from './testing/place.ts';

const server = useServer({ STREAM_HEARTBEAT_SECONDS: '1' });
const join = useClients();

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
    await expect.poll(() => world.status).toBe('unauthorized');
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

  it('[K5] uses a new token that came while requests with the old one were on their way', async () => {
    const place = await makePlace(server());
    const world = join(place, {
      token: 'wk_nobody_secret',
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        if (response.status === 401) world.setToken(place.key);
        return response;
      },
    });
    await world.put('lamp').reached('queued');
    await world.ready;
    await expectSame(place, world);
  });

  it('[K5a] accepts no token of another person: unsent changes would go out in their name', async () => {
    const place = await makePlace(server());
    const [ann, bob] = [await place.join('ann'), await place.join('bob')];
    const world = join(place, { token: ann });
    await world.ready;
    expect(() => world.setToken(bob)).toThrow(expect.objectContaining({ code: 'other_person' }));
    await world.put('lamp').reached('queued');
    expect(world.userId).toBe('ann');

    world.setToken(async () => bob);
    const error = nextError(world);
    world.say('from ann');
    expect((await error).code).toBe('other_person');
    world.setToken(ann);
    await expectSame(place, world);
    expect(world.chat.messages.map(({ userId }) => userId)).toEqual(['ann']);
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
