import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { makeObjects, makeWorld, openLayer, openTestNeon, pickGiven, withHooks } from '../test/layers.ts';
import { stack } from '../test/support.ts';
import { AppError } from './world/errors.ts';

describe('PersistenceLayer at size', () => {
  it('loads and saves 10,000 objects in as many statements as one', async () => {
    const statements: number[] = [];
    const { layer } = await makeWorld(openTestNeon((count) => statements.push(count)));
    const measure = async (run: () => Promise<unknown>) => {
      statements.length = 0;
      await run();
      return statements.reduce((sum, n) => sum + n, 0);
    };
    const counts: number[][] = [];
    for (const size of [1, 10_000]) {
      const objects = makeObjects(size);
      const save = await measure(() => layer.saveWorldState({ objects }));
      const merge = await measure(() => layer.saveWorldState({ objects }, { mode: 'merge' }));
      const load = await measure(async () => {
        expect((await layer.loadWorldState()).objects).toHaveLength(size);
      });
      counts.push([save, merge, load]);
    }
    expect(counts[1]).toEqual(counts[0]);
  });

  it('saves and loads a world of many chunks and pages', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const text = 'ü"\\'.repeat(4_000);
    const objects = makeObjects(700).map((object) => ({ ...object, properties: { text } }));
    expect(await layer.saveWorldState({ objects })).toMatchObject({ objects: 700 });
    const state = await layer.loadWorldState();
    expect(state.objects.map(pickGiven)).toEqual(objects.map((object) => ({ modelId: null, ...object })));
  });

  it('[L7a] a save that breaks off anywhere leaves the world as it was', async () => {
    const postgres = openTestNeon();
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    await layer.saveWorldState({ objects: makeObjects(3) });
    const before = await layer.loadWorldState();
    // Two chunks: begin, stage twice, commit.
    const objects = makeObjects(400).map((object) => ({
      ...object,
      properties: { text: 'x'.repeat(20_000) },
    }));
    for (const brokenAt of [1, 2, 3, 4]) {
      const breaking = withHooks(postgres, {
        before(transaction) {
          if (transaction === brokenAt) throw new AppError('store_unavailable', 'cut');
        },
      });
      const cut = openLayer(breaking, { tenantId, spaceId });
      await expect(cut.saveWorldState({ objects })).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await layer.loadWorldState()).toEqual(before);
    }
    expect(await layer.saveWorldState({ objects: makeObjects(2) })).toMatchObject({ objects: 2 });
  });

  it('[L7d] removes replaced and abandoned worlds, and nothing else', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(openTestNeon());
    const owner = new pg.Client({ connectionString: stack().migrationUrl });
    await owner.connect();
    const countRows = async () => {
      const counted =
        'select count(*)::int as n from world_objects join worlds using (world) where tenant_id = $1';
      return (await owner.query<{ n: number }>(counted, [tenantId])).rows[0]?.n;
    };
    await layer.saveWorldState({ objects: makeObjects(3) });
    await layer.saveWorldState({ objects: makeObjects(5) });
    expect(await countRows()).toBe(5);

    // Another save is between its chunks: its stage is young, then an hour old.
    await owner.query("select set_config('app.tenant_id', $1, false), begin_stage($2, 'theirs')", [
      tenantId,
      spaceId,
    ]);
    const objects = JSON.stringify(makeObjects(5).map(({ id }) => ({ id })));
    await owner.query(
      `select set_config('app.tenant_id', $1, false), stage_objects('theirs', '{other}', false, $2::json)`,
      [tenantId, objects],
    );
    await layer.saveWorldState({ objects: makeObjects(4) });
    expect(await countRows()).toBe(9);
    await owner.query(
      `update world_stages set touched_at = now() - interval '61 minutes' where tenant_id = $1`,
      [tenantId],
    );
    await layer.saveWorldState({ objects: makeObjects(2) });
    expect(await countRows()).toBe(2);
    await owner.end();
  });

  it('[S7a] a large world that moves while it is read is read as it stood at one moment', async () => {
    const postgres = openTestNeon();
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    const text = 'x'.repeat(30_000);
    const objects = makeObjects(500).map((object) => ({ ...object, properties: { text } }));
    await layer.saveWorldState({ objects });
    const [first, last] = [objects[0]?.id ?? '', objects.at(-1)?.id ?? ''];
    const watched = withHooks(postgres, {
      // Between the first page and the second: one object moves, one goes, one comes.
      async after(transaction) {
        if (transaction !== 1) return;
        await layer.updateObject(first, { name: 'moved' });
        await layer.deleteObject(last);
        await layer.saveObject({ id: 'a-new-one' });
      },
    });
    const reader = openLayer(watched, { tenantId, spaceId });
    const state = await reader.loadWorldState();
    expect(state.objects).toHaveLength(500);
    expect(state.objects.find(({ id }) => id === first)?.name).toBe('moved');
    expect(state.objects.some(({ id }) => id === last)).toBe(false);
    expect(state.objects[0]?.id).toBe('a-new-one');
    expect(state.seq).toBe((await layer.getSpace('main')).seq);
  });

  it('[S7c] reads a large world again that is replaced meanwhile, and returns one world or the other', async () => {
    const postgres = openTestNeon();
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    const text = 'x'.repeat(30_000);
    await layer.saveWorldState({
      objects: makeObjects(500).map((object) => ({ ...object, properties: { text } })),
    });
    const replacing = withHooks(postgres, {
      async after(transaction) {
        if (transaction === 1) await layer.saveWorldState({ objects: makeObjects(3) });
      },
    });
    const reader = openLayer(replacing, { tenantId, spaceId });
    expect((await reader.loadWorldState()).objects).toHaveLength(3);
  });

  it('[S1] lists of any length never make a state unreadable', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const url = `/${'u'.repeat(2_030)}`;
    const assets = (prefix: string) =>
      Array.from({ length: 1_700 }, (_, i) => ({ id: `${prefix}${i}`, name: 'a', url }));
    const people = (prefix: string) =>
      Array.from({ length: 9 }, (_, i) => ({
        id: `${prefix}${i}`,
        displayName: 'Ann',
        properties: { text: '"'.repeat(30_000) },
      }));
    for (const prefix of ['a', 'b', 'c', 'd'])
      await layer.saveWorldState(
        { objects: [], models: assets(prefix), users: people(prefix) },
        { mode: 'merge' },
      );
    const state = await layer.loadWorldState();
    expect(state.models).toHaveLength(6_800);
    expect(state.users).toHaveLength(36);
    expect(new Set(state.users.map(({ id }) => id)).size).toBe(36);
    expect(state.models.map(({ id }) => id)).toEqual(state.models.map(({ id }) => id).sort());
  });

  it('saves what is at the limit of one request of the database', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const quotes = '"'.repeat(30_000);
    const objects = Array.from({ length: 90 }, (_, i) => ({ id: `o${i}`, properties: { quotes } }));
    const chat = Array.from({ length: 480 }, (_, i) => ({ id: `c${i}`, text: '"'.repeat(4_000) }));
    expect(await layer.saveWorldState({ objects, chat })).toMatchObject({ objects: 90 });
    const tooMuch = Array.from({ length: 1_100 }, (_, i) => ({ id: `c${i}`, text: 'x'.repeat(4_000) }));
    await expect(layer.saveWorldState({ objects: [], chat: tooMuch })).rejects.toMatchObject({
      code: 'body_too_large',
    });
    expect((await layer.loadWorldState()).objects).toHaveLength(90);
  });

  it('pages through spaces with large settings', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const settings = { text: '"'.repeat(30_000) };
    for (let i = 0; i < 120; i++)
      await layer.putSpace(`s${String(i).padStart(3, '0')}`, { name: 'S', settings });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await layer.listSpaces({ limit: 1_000, cursor });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(121);
  });

  it('any numbers and any JSON come back as they were', async () => {
    const { layer } = await makeWorld(openTestNeon());
    const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    const vector = fc.record({ x: double, y: double, z: double });
    const key = fc.string({ unit: 'grapheme' }).filter((k) => !k.includes('\0') && k !== '__proto__');
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        double,
        key,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    const properties = fc.dictionary(key, tree, { maxKeys: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ position: vector, scale: vector, properties }), { minLength: 1, maxLength: 30 }),
        async (given) => {
          const objects = given.map((object, i) => ({ id: `o${String(i).padStart(3, '0')}`, ...object }));
          await layer.saveWorldState({ objects });
          const state = await layer.loadWorldState();
          const read = state.objects.map(({ id, position, scale, properties }) => ({
            id,
            position,
            scale,
            properties,
          }));
          expect(read).toEqual(JSON.parse(JSON.stringify(objects)));
        },
      ),
      { numRuns: 40 },
    );
  });
});
