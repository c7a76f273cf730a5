import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DRIVERS, makeWorld, openLayer, openTestNeon, withHooks } from '../../test/layers.ts';
import type { PersistenceLayer } from '../persistence-layer.ts';
import type { Postgres } from '../postgres/client.ts';
import { worldObjects } from '../postgres/schema/spaces.ts';
import { isInRegion, type Region } from '../world/region.ts';
import type { StateLine, StateView } from '../world/state-lines.ts';
import type { WorldObject } from '../world/types.ts';

function makeObjects(count: number, text = '') {
  return Array.from({ length: count }, (_, i) => ({
    id: `o${String(i).padStart(6, '0')}`,
    name: `Object ${i}`,
    position: { x: i * 3, y: i % 7, z: -i / 2 },
    properties: { i, text },
  }));
}

/** The world of a reader of lines at their end, by the rule in `StateLine`. */
async function readLines(lines: AsyncIterable<StateLine>) {
  const all: StateLine[] = [];
  const objects = new Map<string, WorldObject>();
  for await (const line of lines) {
    all.push(line);
    if (line.kind === 'gone') objects.delete(line.id);
    if (line.kind !== 'object') continue;
    const { kind, ...object } = line;
    objects.set(object.id, object);
  }
  const of = (kind: StateLine['kind']) => all.filter((line) => line.kind === kind);
  const sorted = [...objects.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return { all, of, kinds: all.map(({ kind }) => kind), objects: sorted, end: all.at(-1) };
}

async function stream(layer: PersistenceLayer, view: StateView = {}) {
  return readLines((await layer.streamWorldState(view)).lines);
}

async function* give<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}

/** A layer that has things done between its transactions. */
function layerOn(postgres: Postgres, { tenantId, spaceId }: { tenantId: string; spaceId: string }) {
  return openLayer(postgres, { tenantId, spaceId, actor: 'tester' });
}

const WORLD = {
  objects: makeObjects(3),
  users: [{ id: 'ada', displayName: 'Ada' }],
  models: [{ id: 'm', name: 'M', url: 'https://models.example/m.glb' }],
  media: [{ id: 'i', name: 'I', url: 'https://media.example/i.png' }],
  chat: [{ id: 'c', userId: 'ada', text: 'hello', kind: 'emote' }],
};

describe.each(Object.entries(DRIVERS))('a world line by line, on %s', (_, open) => {
  const postgres = open();

  it('is the state, and is taken back', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveWorldState(WORLD);
    const state = await layer.loadWorldState();
    const { seq, rev, lines } = await layer.streamWorldState();
    expect([seq, rev]).toEqual([state.seq, state.rev]);
    const read = await readLines(lines);
    expect(read.kinds).toEqual([
      ...['space', 'object', 'object', 'object'],
      ...['user', 'model', 'media', 'chat', 'end'],
    ]);
    expect(read.all[0]).toEqual({ kind: 'space', ...state.space, durableSeq: state.durableSeq });
    expect(read.objects).toEqual(state.objects);
    expect(read.of('chat')).toEqual([
      expect.objectContaining({ kind: 'chat', messageKind: 'emote', text: 'hello' }),
    ]);
    const counts = { object: 3, user: 1, model: 1, media: 1, chat: 1 };
    expect(read.end).toEqual({ kind: 'end', seq: state.seq, rev: state.rev, counts });

    const copy = await makeWorld(postgres);
    expect(await copy.layer.saveWorldStream(give(read.all))).toMatchObject({ objects: 3 });
    const copied = await copy.layer.loadWorldState();
    const bare = (objects: WorldObject[]) =>
      objects.map(({ seq, updatedAt, updatedBy, spaceId, ...object }) => object);
    expect(bare(copied.objects)).toEqual(bare(state.objects));
    expect(copied.chat.map(({ seq, ...message }) => message)).toEqual(
      state.chat.map(({ seq, ...message }) => message),
    );
    expect(copied.users.map(({ id }) => id)).toEqual(['ada']);
  });

  it('has every message, oldest first, and of a later save none', async () => {
    const world = await makeWorld(postgres);
    const { layer } = world;
    const messages = Array.from({ length: 451 }, (_, i) => ({
      id: `m${String((i * 7) % 451).padStart(3, '0')}`,
      text: `message ${i}`,
      // Several messages share a millisecond, and differ in the digits that no state shows.
      createdAt: `2026-01-02T03:04:05.${String(Math.floor(i / 3)).padStart(3, '0')}${i % 3}00Z`,
    }));
    await layer.saveWorldState({ objects: [], chat: messages.toReversed() });
    const later = { objects: [], chat: [{ id: 'later', text: 't', createdAt: messages[3]?.createdAt }] };
    const saving = layerOn(
      withHooks(postgres, {
        async after(transaction) {
          if (transaction === 1) await layer.saveWorldState(later, { mode: 'merge' });
        },
      }),
      world,
    );
    const { of, end } = await stream(saving);
    const texts = of('chat').map((line) => 'text' in line && line.text);
    expect(texts).toEqual(messages.map(({ text }) => text));
    expect(end).toMatchObject({ counts: { chat: 451 } });
    expect((await layer.loadWorldState()).chat.map(({ text }) => text)).toEqual(texts.slice(-50));
    const partly = await stream(layer, { include: ['objects'] });
    expect(partly.kinds).toEqual(['space', 'end']);
  });

  it('leaves out what is not asked for', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveWorldState(WORLD);
    const { kinds, end } = await stream(layer, { include: ['users', 'chat'] });
    expect(kinds).toEqual(['space', 'user', 'chat', 'end']);
    expect(end).toMatchObject({ counts: { user: 1, chat: 1 } });
    const state = await layer.loadWorldState(undefined, { include: ['objects'] });
    expect([state.objects.length, state.users, state.models, state.chat]).toEqual([3, [], [], []]);
  });
});

describe('a large world line by line', () => {
  const postgres = openTestNeon();
  // Several pages: 500 objects of 30 kB.
  const objects = makeObjects(500, 'x'.repeat(30_000));

  it('[S7a] is the world of one moment, whatever moves while it is read', async () => {
    const world = await makeWorld(postgres);
    const { layer } = world;
    await layer.saveWorldState({ objects, users: WORLD.users });
    const idAt = (i: number) => objects[i]?.id ?? '';
    let at = 0;
    const moving = layerOn(
      withHooks(postgres, {
        async after() {
          at++;
          if (at > 6) return;
          await layer.updateObject(idAt(at), { name: `moved at ${at}`, position: { x: -1e6 } });
          await layer.updateObject(idAt(480 + at), { properties: { text: null } });
          await layer.deleteObject(idAt(10 + at));
          await layer.deleteObject(idAt(400 + at));
          await layer.saveObject({ id: `new-${at}` });
          if (at === 3) await layer.saveObject({ id: idAt(11), name: 'again' });
          if (at === 4) await layer.putSpace(world.spaceId, { name: 'Renamed' });
          if (at === 5) await layer.upsertUser({ id: 'ada', displayName: 'Ada the Second' });
        },
      }),
      world,
    );
    const read = await stream(moving);
    const state = await layer.loadWorldState();
    expect(read.kinds).toContain('moved');
    expect(read.objects).toEqual(state.objects);
    expect(read.end).toMatchObject({ seq: state.seq, rev: state.rev });
    expect(read.of('space').at(-1)).toMatchObject({ name: 'Renamed' });
    expect(read.of('user')).toEqual([expect.objectContaining({ displayName: 'Ada the Second' })]);
    // Neither a page nor a round of changes holds the whole world.
    expect(at).toBeGreaterThan(6);

    // Lines that a reader received give the same world in another space.
    const copy = await makeWorld(postgres);
    await copy.layer.saveWorldStream(give(read.all));
    const copied = await copy.layer.loadWorldState();
    const bare = (all: WorldObject[]) => all.map(({ id, name, properties }) => ({ id, name, properties }));
    expect(bare(copied.objects)).toEqual(bare(state.objects));
  });

  it('[S7c] is not whole where it is replaced or deleted meanwhile', async () => {
    for (const [code, change] of [
      ['state_unsettled', (layer: PersistenceLayer) => layer.saveWorldState({ objects: makeObjects(2) })],
      ['not_found', (layer: PersistenceLayer) => layer.deleteSpace('main')],
    ] as const) {
      const world = await makeWorld(postgres);
      await world.layer.saveWorldState({ objects });
      let at = 0;
      const changing = layerOn(
        withHooks(postgres, {
          async after() {
            if (++at === 2) await change(world.layer);
          },
        }),
        world,
      );
      const { lines } = await changing.streamWorldState();
      const seen: string[] = [];
      await expect(
        (async () => {
          for await (const { kind } of lines) seen.push(kind);
        })(),
      ).rejects.toMatchObject({ code });
      expect(seen).not.toContain('end');
    }
  });

  it('[L7a] is saved all or nothing, wherever it breaks off, and leaves nothing behind', async () => {
    const world = await makeWorld(postgres);
    const { layer } = world;
    await layer.saveWorldState({ objects: makeObjects(2) });
    const before = await layer.loadWorldState();
    const lines = [...objects.map((object) => ({ kind: 'object', ...object })), { kind: 'end' }];
    const cut = async function* (count: number) {
      yield* lines.slice(0, count);
      throw new Error('cut');
    };
    for (const count of [0, 1, 300, 501]) {
      await expect(layer.saveWorldStream(cut(count))).rejects.toThrow('cut');
      expect(await layer.loadWorldState()).toEqual(before);
    }
    await expect(layer.saveWorldStream(give(lines.slice(0, -1)))).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [{ path: '/501' }],
    });
    const [rows] = await postgres.inTenant(world.tenantId, (db) => [
      db.select({ id: worldObjects.objectId }).from(worldObjects),
    ]);
    expect(rows).toHaveLength(2);
    expect(await layer.saveWorldStream(give(lines))).toMatchObject({ objects: 500 });
  });

  it('has each id once: a second is found in its chunk or among those staged before, and named by its line', async () => {
    const { layer } = await makeWorld(postgres);
    const lines = objects.map((object) => ({ kind: 'object', ...object }));
    for (const [at, of] of [
      [3, 1],
      [499, 0],
    ] as const) {
      const twice = lines.with(at, { ...lines[at], id: lines[of]?.id ?? '' } as (typeof lines)[number]);
      await expect(layer.saveWorldStream(give([...twice, { kind: 'end' }]))).rejects.toMatchObject({
        code: 'validation_failed',
        errors: [{ path: `/${at + 1}/id`, message: `appears more than once: ${lines[of]?.id}` }],
      });
    }
  });
});

describe('lines', () => {
  const postgres = openTestNeon();

  it('replace the world or are merged into it', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveWorldState({ objects: [{ id: 'a' }, { id: 'b' }], users: WORLD.users });
    const save = (lines: object[], mode: 'replace' | 'merge') => layer.saveWorldStream(give(lines), { mode });
    const ids = async () => (await layer.loadWorldState()).objects.map(({ id }) => id);
    await save([{ kind: 'object', id: 'c' }, { kind: 'end' }], 'merge');
    expect(await ids()).toEqual(['a', 'b', 'c']);
    await save([{ kind: 'object', id: 'd' }, { kind: 'end' }], 'replace');
    expect(await ids()).toEqual(['d']);
    expect((await layer.loadWorldState()).users).toHaveLength(1);
    // Said to be none, the avatars go; not mentioned, they stay.
    await save([{ kind: 'end', counts: { object: 0, user: 0 } }], 'replace');
    expect(await ids()).toEqual([]);
    expect((await layer.loadWorldState()).users).toEqual([]);
  });

  it.each([
    [[{ kind: 'end' }], '/1/counts/object'],
    [[], '/1'],
    [
      [
        { kind: 'object', id: 'a' },
        { kind: 'end', counts: { object: 2 } },
      ],
      '/2/counts/object',
    ],
    [[{ kind: 'object', id: 'a', position: { x: 'far' } }], '/1/position/x'],
    [[{ kind: 'space' }, { kind: 'object', id: 'a', colour: 'red' }], '/2/colour'],
    [[{ kind: 'wall' }], '/1/kind'],
    [[{ kind: 'object', id: 'a' }, { kind: 'end' }, { kind: 'object', id: 'b' }], '/3'],
    [[{ kind: 'error', code: 'state_unsettled' }], '/1/kind'],
    [
      [
        { kind: 'user', id: 'u', displayName: 'U' },
        { kind: 'user', id: 'u', displayName: 'V' },
      ],
      '/2/id',
    ],
    [[{ kind: 'gone' }], '/1/id'],
  ])('%j are refused', async (lines, path) => {
    const { layer } = await makeWorld(postgres);
    await layer.saveWorldState({ objects: [{ id: 'kept' }] });
    const refused = await layer.saveWorldStream(give(lines)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'validation_failed' });
    expect((refused as { errors: { path: string }[] }).errors.map((error) => error.path)).toContain(path);
    expect((await layer.loadWorldState()).objects.map(({ id }) => id)).toEqual(['kept']);
  });

  it('may be many in addition to the objects, up to a limit', async () => {
    const { layer } = await makeWorld(postgres);
    const line = (i: number) => ({ kind: 'chat', id: `c${i}`, text: 'x'.repeat(4_000) });
    const lines = (count: number) => [
      ...Array.from({ length: count }, (_, i) => line(i)),
      { kind: 'end', counts: { object: 0 } },
    ];
    await expect(layer.saveWorldStream(give(lines(1_100)))).rejects.toMatchObject({ code: 'body_too_large' });
    expect(await layer.saveWorldStream(give(lines(1_000)))).toMatchObject({ objects: 0 });
  });
});

describe('a region', () => {
  const near = fc.integer({ min: -130, max: 130 });
  const coordinate = fc.oneof(
    near,
    near.map((n) => n / 3),
    fc.constantFrom(0, 32, -32, 5e-324, -5e-324, 1e9, 1e308, -1e308, Number.MAX_VALUE, -Number.MAX_VALUE),
  );
  const vector = fc.record({ x: coordinate, y: coordinate, z: coordinate });
  const region: fc.Arbitrary<Region> = fc.oneof(
    fc.record({ near: vector, radius: coordinate.map(Math.abs) }),
    fc.tuple(vector, vector).map(([a, b]) => ({
      min: { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), z: Math.min(a.z, b.z) },
      max: { x: Math.max(a.x, b.x), y: Math.max(a.y, b.y), z: Math.max(a.z, b.z) },
    })),
  );

  it('[S5b] has the objects that a plain filter finds, in both forms', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const positions = fc.sample(vector, { numRuns: 600, seed: 1 });
    const objects = positions.map((position, i) => ({ id: `o${String(i).padStart(4, '0')}`, position }));
    await layer.saveWorldState({ objects });
    const found: number[] = [];
    await fc.assert(
      fc.asyncProperty(region, async (region) => {
        const expected = objects.filter(({ position }) => isInRegion(region, position)).map(({ id }) => id);
        const state = await layer.loadWorldState(undefined, { region });
        expect(state.objects.map(({ id }) => id)).toEqual(expected);
        const { objects: streamed, end } = await stream(layer, { region });
        expect(streamed).toEqual(state.objects);
        expect(end).toMatchObject({ kind: 'end', counts: { object: expected.length } });
        found.push(expected.length);
      }),
      { numRuns: 60 },
    );
    expect(Math.max(...found)).toBeGreaterThan(20);
  });

  it('[S5b] of several pages is the region of one moment', async () => {
    const postgres = openTestNeon();
    const world = await makeWorld(postgres);
    const { layer } = world;
    const objects = makeObjects(500, 'x'.repeat(30_000));
    await layer.saveWorldState({ objects });
    const region = { min: { x: 0, y: 0, z: -1e9 }, max: { x: 1_200, y: 10, z: 0 } };
    let at = 0;
    const moving = layerOn(
      withHooks(postgres, {
        async after() {
          if (++at > 4) return;
          // Out, in, and from one column of cells to another.
          await layer.updateObject(objects[at]?.id ?? '', { position: { x: -500 } });
          await layer.updateObject(objects[490 + at]?.id ?? '', { position: { x: 5 } });
          await layer.updateObject(objects[300 + at]?.id ?? '', { position: { x: 1 } });
          await layer.deleteObject(objects[350 + at]?.id ?? '');
        },
      }),
      world,
    );
    const read = await stream(moving, { region });
    expect(read.kinds).toContain('moved');
    const whole = await layer.loadWorldState();
    expect(read.objects).toEqual(whole.objects.filter(({ position }) => isInRegion(region, position)));
    expect(read.end).toMatchObject({ seq: whole.seq });
  });

  it('is refused where it is none', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const none = { near: { x: 0, y: 0, z: 0 }, radius: -1 };
    await expect(layer.streamWorldState({ region: none })).rejects.toMatchObject({
      errors: [{ path: '/radius' }],
    });
  });
});
