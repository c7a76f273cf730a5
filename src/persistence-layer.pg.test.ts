import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATABASES, makeObjects, makeWorld, pickGiven } from '../test/layers.ts';
import { AppError } from './world/errors.ts';

const NOT_FOUND = { code: 'not_found' };

describe.each(Object.entries(DATABASES))('PersistenceLayer on %s', (_, open) => {
  const postgres = open();
  // PGlite takes seconds to open.
  beforeAll(() => postgres.ping());
  afterAll(() => postgres.close());

  it('gives back an object as it was saved, bit for bit', async () => {
    const { layer } = await makeWorld(postgres);
    const numbers = [5e-324, -1.7976931348623157e308, 0.1 + 0.2, 1 / 3, 2 ** 53 + 2, -1e-7];
    const saved = await layer.saveObject({
      id: 'chair:1',
      name: 'Chair',
      modelId: 'model.chair',
      parentId: 'not-there-yet',
      position: { x: numbers[0], y: numbers[1], z: numbers[2] },
      rotation: { x: 0.5, y: -0.5, z: 0.5, w: 0.5000000000000001 },
      scale: { x: numbers[3], y: numbers[4], z: numbers[5] },
      properties: { numbers, text: '"\\\n\u0001ü𝄞', empty: [], none: null, nested: { a: { b: {} } } },
    });
    expect(saved.created).toBe(true);
    const read = await layer.getObject('chair:1');
    expect(read).toEqual(saved.object);
    expect(read).toMatchObject({
      position: { x: 5e-324, y: -1.7976931348623157e308, z: 0.1 + 0.2 },
      rotation: { x: 0.5, y: -0.5, z: 0.5, w: 0.5000000000000001 },
      scale: { x: 1 / 3, y: 2 ** 53 + 2, z: -1e-7 },
      properties: { numbers, text: '"\\\n\u0001ü𝄞', empty: [], none: null, nested: { a: { b: {} } } },
      createdBy: 'tester',
      updatedBy: 'tester',
    });
  });

  it('[D9] takes parents and models that are not there, and leaves children whose parent goes', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveObject({ id: 'child', parentId: 'parent', modelId: 'nowhere' });
    await layer.saveObject({ id: 'parent', parentId: 'child' });
    await layer.deleteObject('parent');
    expect(await layer.getObject('child')).toMatchObject({ parentId: 'parent', modelId: 'nowhere' });
  });

  it('keeps −0 as 0 and normalises only rotations that are far from length 1', async () => {
    const { layer } = await makeWorld(postgres);
    const near = { x: 0, y: 0, z: 0, w: 1.00005 };
    const { object } = await layer.saveObject({ id: 'a', position: { x: -0, y: 0, z: 0 }, rotation: near });
    expect(Object.is((await layer.getObject('a')).position.x, 0)).toBe(true);
    expect(object.rotation).toEqual(near);
    const far = await layer.saveObject({ id: 'b', rotation: { x: 0, y: 0, z: 3, w: 4 } });
    expect(far.object.rotation).toEqual({ x: 0, y: 0, z: 0.6, w: 0.8 });
    const huge = await layer.saveObject({ id: 'c', rotation: { x: 0, y: 1e308, z: 0, w: 1e308 } });
    expect(Math.hypot(huge.object.rotation.y, huge.object.rotation.w)).toBeCloseTo(1, 15);
  });

  it('[O1] replaces, patches by RFC 7396 and deletes, each with a higher seq', async () => {
    const { layer } = await makeWorld(postgres);
    const first = await layer.saveObject({
      id: 'a',
      name: 'old',
      properties: { keep: 1, drop: 2, deep: { x: 1, y: [1] } },
    });
    const patched = await layer.updateObject('a', {
      position: { x: 4 },
      properties: { drop: null, deep: { x: null, z: { n: null, m: 1 } }, fresh: { gone: null } },
    });
    expect(patched).toMatchObject({ name: 'old', position: { x: 4, y: 0, z: 0 } });
    expect(patched.properties).toEqual({ keep: 1, deep: { y: [1], z: { m: 1 } }, fresh: {} });
    expect(patched.seq).toBeGreaterThan(first.object.seq);
    expect(patched.createdAt).toBe(first.object.createdAt);

    const replaced = await layer.saveObject({ id: 'a' });
    expect(replaced.created).toBe(false);
    expect(replaced.object).toMatchObject({ name: null, properties: {}, position: { x: 0, y: 0, z: 0 } });

    const { seq } = await layer.deleteObject('a');
    expect(seq).toBeGreaterThan(replaced.object.seq);
    await expect(layer.getObject('a')).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.deleteObject('a')).rejects.toMatchObject(NOT_FOUND);
    await expect(layer.updateObject('a', {})).rejects.toMatchObject(NOT_FOUND);
    expect((await layer.getSpace('main')).seq).toBe(seq);
  });

  it('merges patches as RFC 7396 says, of thousands of members too', async () => {
    const { layer } = await makeWorld(postgres);
    // The examples of RFC 7396, appendix A, that are objects.
    const examples: [object, object, object][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
      [{ a: 1 }, {}, { a: 1 }],
    ];
    for (const [properties, patch, merged] of examples) {
      await layer.saveObject({ id: 'a', properties });
      expect((await layer.updateObject('a', { properties: patch })).properties).toEqual(merged);
    }
    const many = Object.fromEntries(Array.from({ length: 4_000 }, (_, i) => [`k${i}`, i]));
    await layer.saveObject({ id: 'b', properties: { k1: 0, kept: true } });
    expect((await layer.updateObject('b', { properties: many })).properties).toEqual({ kept: true, ...many });
  });

  it('[O3] refuses a write whose precondition does not hold, and changes nothing', async () => {
    const { layer } = await makeWorld(postgres);
    const failed = { code: 'precondition_failed' };
    await expect(layer.saveObject({ id: 'a' }, { precondition: { ifExists: true } })).rejects.toMatchObject(
      failed,
    );
    const { object } = await layer.saveObject({ id: 'a' }, { precondition: { ifExists: false } });
    const before = (await layer.getSpace('main')).seq;
    const stale = { precondition: { ifSeq: [object.seq - 1] } };
    await expect(layer.saveObject({ id: 'a' }, { precondition: { ifExists: false } })).rejects.toMatchObject(
      failed,
    );
    await expect(layer.saveObject({ id: 'a' }, stale)).rejects.toMatchObject(failed);
    await expect(layer.updateObject('a', { name: 'x' }, stale)).rejects.toMatchObject(failed);
    await expect(layer.deleteObject('a', stale)).rejects.toMatchObject(failed);
    expect((await layer.getSpace('main')).seq).toBe(before);
    const fresh = await layer.updateObject('a', { name: 'x' }, { precondition: { ifSeq: [1, object.seq] } });
    expect(fresh.name).toBe('x');
  });

  it('[O1] gives simultaneous writes of one space one order', async () => {
    const { layer } = await makeWorld(postgres);
    // By operations: a saved object is answered as it is a moment later, and another write may have come behind it.
    const written = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const put = { op: 'put', id: `o${i % 5}`, name: `${i}` };
        const written = await layer.appendOperations({ ops: [put] }, { waits: true });
        return { id: put.id, name: put.name, seq: written.status === 'committed' ? written.seq : 0 };
      }),
    );
    const seqs = written.map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(20);
    const last = new Map(written.toSorted((a, b) => a.seq - b.seq).map((one) => [one.id, one]));
    const { objects, seq } = await layer.loadWorldState();
    expect(seq).toBe(Math.max(...seqs));
    expect(objects).toMatchObject([...last.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
  });

  it('[O3] only one of many conditional writes wins', async () => {
    const { layer } = await makeWorld(postgres);
    const { object } = await layer.saveObject({ id: 'lock' });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        layer.updateObject('lock', { name: `${i}` }, { precondition: { ifSeq: [object.seq] } }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('saves and loads a whole world', async () => {
    const { layer } = await makeWorld(postgres);
    const objects = makeObjects(300);
    const world = {
      objects,
      users: [{ id: 'ann', displayName: 'Ann', position: { x: 1, y: 2, z: 3 }, properties: { hat: true } }],
      models: [
        { id: 'm1', name: 'Chair', url: 'https://example.com/chair.glb', sha256: 'ab'.repeat(32), bytes: 12 },
      ],
      media: [{ id: 'v1', name: 'Film', url: 'https://example.com/film.mp4', contentType: 'video/mp4' }],
      chat: [
        { id: 'c1', userId: 'ann', text: 'first', createdAt: '2026-01-01T00:00:00.000Z' },
        { id: 'c2', userId: null, text: 'second', createdAt: '2026-01-01T00:00:01.000Z' },
      ],
    };
    const saved = await layer.saveWorldState(world);
    expect(saved.objects).toBe(300);
    const state = await layer.loadWorldState('main');
    expect(state.seq).toBe(saved.seq);
    expect(state.objects.map(pickGiven)).toEqual(objects.map((object) => ({ modelId: null, ...object })));
    expect(new Set(state.objects.map(({ seq }) => seq))).toEqual(new Set([saved.seq]));
    expect(state.users).toEqual([
      {
        id: 'ann',
        displayName: 'Ann',
        avatarUrl: null,
        position: { x: 1, y: 2, z: 3 },
        rotation: { x: 0, y: 0, z: 0, w: 1 },
        properties: { hat: true },
        seq: saved.seq,
      },
    ]);
    expect(state.models).toMatchObject([{ id: 'm1', sha256: 'ab'.repeat(32), bytes: 12, contentType: null }]);
    expect(state.media).toMatchObject([{ id: 'v1', contentType: 'video/mp4' }]);
    expect(state.chat.map(({ id, text }) => [id, text])).toEqual([
      ['c1', 'first'],
      ['c2', 'second'],
    ]);

    // A state that was read can be saved in another space, and is the same world there.
    const copy = await makeWorld(postgres);
    await copy.layer.saveWorldState(state);
    const again = await copy.layer.loadWorldState();
    expect(again.objects.map(pickGiven)).toEqual(state.objects.map(pickGiven));
    expect(again.objects.map(({ createdAt, createdBy }) => [createdAt, createdBy])).toEqual(
      state.objects.map(({ createdAt, createdBy }) => [createdAt, createdBy]),
    );
    expect(again.chat.map(({ id, createdAt }) => [id, createdAt])).toEqual(
      state.chat.map(({ id, createdAt }) => [id, createdAt]),
    );
  });

  it('replace leaves only what is given; merge keeps the rest', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveWorldState({ objects: [{ id: 'a', name: 'a1' }, { id: 'b' }] });
    await layer.updateObject('a', { name: 'a2' });
    await layer.saveWorldState({ objects: [{ id: 'a', name: 'a3' }, { id: 'c' }] }, { mode: 'merge' });
    const merged = await layer.loadWorldState();
    expect(merged.objects.map(({ id, name }) => [id, name])).toEqual([
      ['a', 'a3'],
      ['b', null],
      ['c', null],
    ]);
    expect(merged.objects[0]?.seq).toBeGreaterThan(merged.objects[1]?.seq ?? 0);
    await layer.saveWorldState({ objects: [{ id: 'd' }] });
    expect((await layer.loadWorldState()).objects.map(({ id }) => id)).toEqual(['d']);
    await layer.saveWorldState({ objects: [] });
    expect((await layer.loadWorldState()).objects).toEqual([]);
  });

  it('takes the backup of an in-memory server', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveWorldState({
      objects: {
        'obj-1': { type: 'cube', position: { x: 1, y: 2, z: 3 }, rotation: { x: 0, y: Math.PI / 2, z: 0 } },
      },
      models: { m1: { name: 'Chair', url: '/models/chair.glb' } },
      chatHistory: [{ userId: 'ann', message: 'hello', timestamp: 1_700_000_000_000 }],
    });
    const { objects, models, chat } = await layer.loadWorldState();
    expect(objects).toMatchObject([
      { id: 'obj-1', properties: { type: 'cube' }, position: { x: 1, y: 2, z: 3 } },
    ]);
    expect(objects[0]?.rotation.y).toBeCloseTo(Math.SQRT1_2, 15);
    expect(models).toMatchObject([{ id: 'm1', url: '/models/chair.glb' }]);
    expect(chat).toMatchObject([{ userId: 'ann', text: 'hello', createdAt: '2023-11-14T22:13:20.000Z' }]);
  });

  it('pages through lists without losing or repeating anything', async () => {
    const { layer } = await makeWorld(postgres);
    const ids = makeObjects(25).map(({ id }) => id);
    await layer.saveWorldState({
      objects: ids.map((id) => ({ id, properties: { text: 'x'.repeat(60_000) } })),
    });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await layer.listObjects({ limit: 10, cursor });
      expect(page.items.length).toBeLessThanOrEqual(10);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(ids);
    for (const name of ['b', 'a', 'c']) await layer.putSpace(name, { name });
    const page = await layer.listSpaces({ limit: 2 });
    const rest = await layer.listSpaces({ limit: 2, cursor: page.nextCursor ?? '' });
    expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual(['a', 'b', 'c', 'main']);
    expect(rest.nextCursor).toBeNull();
    await expect(layer.listSpaces({ cursor: 'forged' })).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(layer.listSpaces({ limit: '0' })).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('refuses bad input with its path and writes nothing', async () => {
    const { layer } = await makeWorld(postgres);
    const before = (await layer.getSpace('main')).seq;
    const cases: [unknown, string][] = [
      [{ id: 'x'.repeat(129) }, '/id'],
      [{ id: 'a/b' }, '/id'],
      [{ id: '' }, '/id'],
      [{}, '/id'],
      [{ id: 'a', position: { x: Number.NaN, y: 0, z: 0 } }, '/position/x'],
      [{ id: 'a', position: { x: Number.POSITIVE_INFINITY, y: 0, z: 0 } }, '/position/x'],
      [{ id: 'a', position: { x: 1, y: 0 } }, '/position/z'],
      [{ id: 'a', rotation: { x: 0, y: 0, z: 0, w: 0 } }, '/rotation'],
      [{ id: 'a', postion: { x: 0, y: 0, z: 0 } }, '/postion'],
      [{ id: 'a', ['x'.repeat(900)]: 1 }, `/${'x'.repeat(128)}`],
      [{ id: 'a', name: 'nul\0' }, '/name'],
      [{ id: 'a', name: '\ud800' }, '/name'],
      [{ id: 'a', properties: { deep: '\udc00' } }, '/properties'],
      [{ id: 'a', properties: { n: Number.NaN } }, '/properties'],
      [{ id: 'a', properties: JSON.parse('{"__proto__":{}}') }, '/properties'],
      [{ id: 'a', properties: [] }, '/properties'],
      [null, ''],
    ];
    for (const [input, path] of cases) {
      const error = await layer.saveObject(input).catch((thrown: unknown) => thrown);
      expect(error, path).toBeInstanceOf(AppError);
      expect(error, path).toMatchObject({ code: 'validation_failed' });
      expect((error as AppError).errors[0]?.path).toBe(path);
    }
    const twice = layer.saveWorldState({ objects: [{ id: 'a' }, { id: 'a' }] });
    await expect(twice).rejects.toMatchObject({ errors: [{ path: '/objects/1/id' }] });
    expect((await layer.getSpace('main')).seq).toBe(before);
  });

  it('[F5] a body that forgot its objects never empties a world', async () => {
    const { layer } = await makeWorld(postgres);
    await layer.saveObject({ id: 'a' });
    for (const body of [{}, { chat: [] }, { objects: null }, [], null])
      await expect(layer.saveWorldState(body)).rejects.toMatchObject({ code: 'validation_failed' });
    expect((await layer.loadWorldState()).objects).toHaveLength(1);
  });

  it('holds properties of 64 KiB as stored and no more, patched ones too', async () => {
    const { layer } = await makeWorld(postgres);
    // {"t": "…"} is 8 bytes and the text.
    const fits = { t: 'x'.repeat(65_536 - 9) };
    await layer.saveObject({ id: 'a', properties: fits });
    expect((await layer.getObject('a')).properties).toEqual(fits);
    const tooLarge = { code: 'properties_too_large', errors: [{ path: '/properties' }] };
    await expect(layer.saveObject({ id: 'b', properties: { t: 'x'.repeat(65_536) } })).rejects.toMatchObject(
      tooLarge,
    );
    await expect(layer.updateObject('a', { properties: { more: 1 } })).rejects.toMatchObject(tooLarge);
    // 1e308 is five characters here and 309 there.
    const written = { id: 'c', properties: { n: Array.from({ length: 250 }, () => 1e308) } };
    await expect(layer.saveObject(written)).rejects.toMatchObject(tooLarge);
    expect((await layer.getObject('a')).properties).toEqual(fits);
  });
});
