import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import { runHere } from '../testing/run-here.ts';
import { runJsonHere } from '../testing/run-json-here.ts';
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
    expect(done.stderr).toContain('placed 3 objects at the root');
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
    await runJsonHere(at, 'export', '--space', space, '--format', 'gltf', '-o', 'edited.gltf');
    const json = await readJson('edited.gltf');
    const ids = json.nodes.map((node: { extras: { worldkeep: { id: string } } }) => node.extras.worldkeep.id);
    const orphan = ids.indexOf('orphan');
    json.nodes.push({ ...json.nodes[orphan], translation: [7, 0, 0] });
    json.nodes[ids.indexOf('house')].children.push(orphan);
    json.scenes[0].nodes = json.scenes[0].nodes.filter((index: number) => index !== orphan);
    json.scenes[0].nodes.push(json.nodes.length - 1);
    await writeFile(join(at.folder, 'edited.gltf'), JSON.stringify(json));
    for (const mode of ['replace', 'merge']) {
      const done = await runJsonHere(at, 'import', 'edited.gltf', '--space', space, '--mode', mode);
      expect(done.notes).toContainEqual(expect.objectContaining({ code: 'copied_nodes', count: 1 }));
      const { objects } = await at.loadState(space);
      const find = (id: string) => objects.find((object) => object.id === id);
      expect(find('orphan')).toMatchObject({ parentId: 'house', position: { x: 0 } });
      const copies = objects.filter((object) => object.id.startsWith('edited:7-'));
      expect(copies).toHaveLength(mode === 'replace' ? 1 : 2);
      expect(copies[0]).toMatchObject({
        parentId: 'gone',
        position: { x: 7 },
        properties: { extras: { a: 1 } },
      });
    }
  });

  it('writes a space without objects as a scene without nodes', async () => {
    const space = uniqueName('s');
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Empty' });
    const { code, stdout } = await at.run('export', '--space', space, '--format', 'gltf');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ asset: { version: '2.0' }, scenes: [{ name: 'Empty' }] });
    expect(JSON.parse(stdout).nodes).toBeUndefined();
    expect(JSON.stringify(JSON.parse(stdout))).not.toContain('"nodes":[]');
    await writeFile(join(at.folder, 'empty.gltf'), stdout);
    const copy = uniqueName('s');
    const done = await runHere(['import', 'empty.gltf', '--space', copy], { env: at.env, cwd: at.folder });
    expect(done.stdout).toContain(': 0 objects, ');
    expect(done.stdout).toContain('note: the file has no nodes');
    expect((await at.loadState(copy)).space.name).toBe('Empty');
  });

  const LAMP = {
    asset: { version: '2.0', copyright: 'someone' },
    extensionsUsed: ['KHR_lights_punctual', 'VENDOR_door'],
    extensions: {
      KHR_lights_punctual: { lights: [{ type: 'spot', name: 'red', intensity: 12.5, spot: {} }] },
    },
    cameras: [{ type: 'perspective', perspective: { yfov: 0.349, znear: 1 } }],
    meshes: [{ primitives: [] }],
    nodes: [
      { name: 'lamp', extensions: { KHR_lights_punctual: { light: 0 }, VENDOR_door: { open: true } } },
      { name: 'cam', camera: 0, mesh: 0, extras: { lens: 35 } },
    ],
    scene: 1,
    scenes: [{ nodes: [0] }, { nodes: [1], extras: { my_scene_property: 42 } }],
    extras: { made: 'here' },
  };

  it('writes lights, cameras, scenes, extras and extensions of a glTF file out again', async () => {
    await writeFile(join(at.folder, 'lamp.gltf'), JSON.stringify(LAMP));
    const space = uniqueName('s');
    expect(await runJsonHere(at, 'import', 'lamp.gltf', '--space', space)).toMatchObject({
      objects: 2,
      notPreserved: [{ kind: 'meshes', count: 1 }],
      notes: [{ code: 'outside_default_scene', count: 1 }],
    });
    await runJsonHere(at, 'export', '--space', space, '--format', 'gltf', '-o', 'lamp-out.gltf');
    const json = await readJson('lamp-out.gltf');
    const { asset, nodes, ...file } = LAMP;
    const { meshes, ...kept } = file;
    expect(json).toMatchObject(kept);
    expect(json.asset).toEqual({ ...asset, generator: 'worldkeep' });
    expect(json.nodes).toMatchObject([nodes[0], { name: 'cam', camera: 0, extras: { lens: 35 } }]);
  });

  it('keeps what a file says of itself in the settings of a space that is there, unless it is merged', async () => {
    await writeFile(join(at.folder, 'town.gltf'), JSON.stringify(LAMP));
    const space = uniqueName('s');
    const settings = { sky: 'blue', gltf: { extras: { from: 'another file' } } };
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Plaza', description: 'old', settings });
    const merged = await runJsonHere(at, 'import', 'town.gltf', '--space', space, '--mode', 'merge');
    expect(merged.notPreserved).toEqual([
      { kind: 'meshes', count: 1 },
      { kind: 'asset information', count: 1 },
      { kind: 'scenes', count: 1 },
      { kind: 'extras of the file', count: 1 },
    ]);
    expect((await at.loadState(space)).space.settings).toEqual(settings);
    const { stdout } = await runHere(['import', 'town.gltf', '--space', space], {
      env: at.env,
      cwd: at.folder,
    });
    expect(stdout).toContain('\nnot preserved: meshes (1)\n');
    expect((await at.loadState(space)).space).toMatchObject({
      name: 'Plaza',
      description: 'old',
      settings: {
        sky: 'blue',
        gltf: { asset: { copyright: 'someone' }, extras: { made: 'here' }, scene: 1 },
      },
    });
    await writeFile(join(at.folder, 'bare.gltf'), JSON.stringify({ asset: { version: '2.0' }, nodes: [{}] }));
    await runJsonHere(at, 'import', 'bare.gltf', '--space', space);
    expect((await at.loadState(space)).space.settings).toEqual({ sky: 'blue' });
  });
});
