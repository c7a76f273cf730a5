import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import { contentOf, openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
beforeAll(async () => {
  at = await openWorkplace();
});
afterAll(async () => {
  await at.close();
});

const OBJECTS = [
  {
    id: 'house',
    name: 'Ä "quoted" \\ 世界 😀',
    position: { x: 0.1 + 0.2, y: 5e-324, z: -1.7976931348623157e308 },
    rotation: { x: 0.5, y: 0.5, z: 0.5, w: 0.50001 },
    scale: { x: 1 / 3, y: -2, z: 1e21 },
    properties: {
      list: [],
      nested: { empty: {}, nothing: null },
      big: 12345678901234567000,
      gltf: { node: 9 },
    },
  },
  // Nearer to the defaults than a writer of glTF usually keeps.
  {
    id: 'near',
    name: '',
    parentId: 'house',
    position: { x: 1e-9, y: 0, z: 0 },
    rotation: { x: 1e-9, y: 0, z: 0, w: 1 },
    scale: { x: 1.000000001, y: 1, z: 1 },
  },
  { id: 'deep', parentId: 'near', modelId: 'tree' },
  { id: 'orphan', parentId: 'gone', properties: { extras: { a: 1 } } },
  { id: 'ring-a', parentId: 'ring-b' },
  { id: 'ring-b', parentId: 'ring-a' },
  { id: 'self', parentId: 'self' },
];

async function makeSpace(): Promise<string> {
  const space = uniqueName('s');
  await at.request(`/spaces/${space}`, 'PUT', { name: 'Plaza' });
  const models = [{ id: uniqueName('m'), name: 'tree', url: 'https://assets.example/tree.glb', bytes: 12 }];
  expect((await at.request(`/spaces/${space}/state`, 'PUT', { objects: OBJECTS, models })).status).toBe(200);
  return space;
}

const readJson = async (file: string) => JSON.parse(await readFile(join(at.folder, file), 'utf8'));

describe('worldkeep export --format gltf', () => {
  it('and import again is the same objects, bit for bit, and the same models', async () => {
    const space = await makeSpace();
    const copy = uniqueName('s');
    const done = await at.run('export', '--space', space, '--format', 'gltf', '-o', 'plaza.gltf');
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('7 objects')]);
    expect(done.stderr).toContain('3 objects are roots');
    expect(done.stderr).toContain('orphan, ring-b, self');
    expect(await at.runJson('import', 'plaza.gltf', '--space', copy)).toMatchObject({
      format: 'gltf',
      objects: 7,
    });
    const [before, after] = [contentOf(await at.loadState(space)), contentOf(await at.loadState(copy))];
    const plain = (objects: object[]) => objects.map((object) => ({ ...object, createdAt: null }));
    expect(JSON.stringify(plain(after.objects))).toBe(JSON.stringify(plain(before.objects)));
    expect(after.models).toEqual(before.models);
  });

  it('is glTF: nodes with their children, in one scene, with a name where the object has one', async () => {
    const space = await makeSpace();
    await at.runJson('export', '--space', space, '--format', 'gltf', '-o', 'scene.gltf');
    const { asset, nodes, scenes, extras } = await readJson('scene.gltf');
    expect(asset).toMatchObject({ version: '2.0', generator: 'worldkeep' });
    const ids = nodes.map((node: { extras: { worldkeep: { id: string } } }) => node.extras.worldkeep.id);
    const [house, near] = [ids.indexOf('house'), ids.indexOf('near')];
    expect(nodes[house]).toMatchObject({
      name: OBJECTS[0]?.name,
      children: [near],
      scale: [1 / 3, -2, 1e21],
    });
    expect(nodes[near]).toMatchObject({ name: '', translation: [1e-9, 0, 0], rotation: [1e-9, 0, 0, 1] });
    expect(nodes[ids.indexOf('deep')]).not.toHaveProperty('name');
    expect(nodes[ids.indexOf('deep')].extras.worldkeep).toEqual({
      id: 'deep',
      modelId: 'tree',
      properties: {},
    });
    expect(scenes).toHaveLength(1);
    expect(scenes[0].nodes.map((index: number) => ids[index]).toSorted()).toEqual([
      'house',
      'orphan',
      'ring-b',
      'self',
    ]);
    expect(extras.worldkeep.space.id).toBe(space);
    expect(extras.worldkeep.models).toEqual((await at.loadState(space)).models);
  });

  it('takes back what another program has moved, copied and hung elsewhere', async () => {
    const space = await makeSpace();
    await at.runJson('export', '--space', space, '--format', 'gltf', '-o', 'edited.gltf');
    const json = await readJson('edited.gltf');
    const ids = json.nodes.map((node: { extras: { worldkeep: { id: string } } }) => node.extras.worldkeep.id);
    const orphan = ids.indexOf('orphan');
    json.nodes.push({ ...json.nodes[orphan], translation: [7, 0, 0] });
    json.nodes[ids.indexOf('house')].children.push(orphan);
    json.scenes[0].nodes = json.scenes[0].nodes.filter((index: number) => index !== orphan);
    json.scenes[0].nodes.push(json.nodes.length - 1);
    await writeFile(join(at.folder, 'edited.gltf'), JSON.stringify(json));
    await at.runJson('import', 'edited.gltf', '--space', space);
    const { objects } = await at.loadState(space);
    const find = (id: string) => objects.find((object) => object.id === id);
    expect(find('orphan')).toMatchObject({ parentId: 'house', position: { x: 0 } });
    expect(find('edited:7')).toMatchObject({ parentId: null, position: { x: 7 } });
  });

  it('writes a space without objects as a scene without nodes', async () => {
    const space = uniqueName('s');
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Empty' });
    const { code, stdout } = await at.run('export', '--space', space, '--format', 'gltf');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ asset: { version: '2.0' }, scenes: [{ name: 'Empty' }] });
    expect(JSON.parse(stdout).nodes).toBeUndefined();
  });
});
