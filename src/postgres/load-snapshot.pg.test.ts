import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS, makeObjects, makeWorld } from '../../test/layers.ts';
import { createStateLoader } from './operations/load-snapshot.ts';

const NUMBERS = [0, 1e-7, 1e15, 1e16, 1e21, 5e-324, 1.7976931348623157e308, -1e-7, 123456.789012345, 1 / 3];
const TEXTS = ['', 'plain', '"quoted" \\\\ /slash/', '\n\t\r\b\f\u001f', '\u007f\u2028ü𝄞', '{"e":1e5,-0}'];

describe.each(Object.entries(DRIVERS))('a world loaded to be kept, on %s', (_, openDriver) => {
  const postgres = openDriver();
  const loader = createStateLoader(postgres);
  afterAll(() => postgres.close());

  it('is to the letter what a state shows, whatever its numbers and texts', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    const strange = NUMBERS.flatMap((number, i) =>
      TEXTS.map((text, j) => ({
        id: `s${i}-${j}`,
        name: text,
        modelId: j === 0 ? null : 'm:1',
        parentId: i === 0 ? null : 'p.2',
        position: { x: number, y: 0 - number, z: j },
        scale: { x: 1, y: number, z: 1 },
        properties: { [text]: number, list: [text, { deep: [number, null, true] }], longer: { b: 1, a: 2 } },
      })),
    );
    await layer.saveWorldState({ objects: [...makeObjects(50), ...strange, { id: 'bare' }] });
    await layer.updateObject('bare', { name: 'touched' });
    await layer.saveObject({ id: 'made', properties: { b: 1, aa: 2, a: 3 } });
    const loaded = await loader.loadWorld({ tenantId, spaceId }, 2 ** 24);
    if (loaded === null || loaded === 'too_large') throw new Error('it is not loaded');
    const state = await layer.loadWorldState();
    expect([loaded.seq, loaded.metadata.rev]).toEqual([state.seq, state.rev]);
    expect([...loaded.objects.keys()]).toEqual(state.objects.map(({ id }) => id));
    for (const object of state.objects) expect(loaded.objects.get(object.id)).toBe(JSON.stringify(object));
  });

  it('is none, or is too large, or is nowhere, and says which', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    const empty = await loader.loadWorld({ tenantId, spaceId }, 10);
    expect(empty).toMatchObject({ objects: new Map(), avatars: new Map() });
    await layer.saveObject({ id: 'one' });
    expect(await loader.loadWorld({ tenantId, spaceId }, 10)).toBe('too_large');
    expect(await loader.loadWorld({ tenantId, spaceId: 'nowhere' }, 10)).toBeNull();
  });

  it('of more than a page is the same', async () => {
    const { layer, tenantId, spaceId } = await makeWorld(postgres);
    const properties = { text: 'x'.repeat(60_000) };
    await layer.saveWorldState({
      objects: Array.from({ length: 150 }, (_, i) => ({ id: `o-${String(i).padStart(3, '0')}`, properties })),
    });
    const loaded = await loader.loadWorld({ tenantId, spaceId }, 2 ** 24);
    if (loaded === null || loaded === 'too_large') throw new Error('it is not loaded');
    const state = await layer.loadWorldState();
    expect([...loaded.objects.values()]).toEqual(state.objects.map((object) => JSON.stringify(object)));
  });
});
