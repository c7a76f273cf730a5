import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeGlb, PNG } from '../../../test/http/glb.ts';
import { uniqueName } from '../../../test/support.ts';
import type { WorldState } from '../../world/types.ts';
import { writeGlb } from '../formats/glb.ts';
import { type Appearance, readAppearance } from '../testing/appearance.ts';
import { makeWalker } from '../testing/walker.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
let files: Record<string, Uint8Array>;
beforeAll(async () => {
  at = await openWorkplace();
  files = await makeWalker();
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(at.folder, name), bytes);
});
afterAll(() => at.close());

let space: string;
beforeEach(() => {
  space = uniqueName('s');
});

interface Listed {
  id: string;
  name: string;
}

async function listModels(): Promise<Listed[]> {
  const response = await at.request('/models?limit=1000');
  return ((await response.json()) as { items: Listed[] }).items;
}

async function exportGlb(from: string, file = `${from}.glb`): Promise<Uint8Array> {
  const { code, stderr } = await at.run(
    ...['export', '--space', from, '--format', 'gltf', '--with-models', '-o', file],
  );
  expect(code, stderr).toBe(0);
  return readFile(join(at.folder, file));
}

/** The walker as its author sees it: the library's own packing of the same files. */
async function readWalker(): Promise<Appearance> {
  const { NodeIO } = await import('@gltf-transform/core');
  const io = new NodeIO();
  const document = await io.read(join(at.folder, 'walker.gltf'));
  return readAppearance(await io.writeBinary(document));
}

const objectOf = ({ objects }: WorldState, name: string) =>
  objects.find((object) => object.name === name) ?? expect.fail(`no object ${name}`);

describe('worldkeep import --with-models (A13a)', () => {
  it('stores the file once with all its parts, and names it at each object that needs it', async () => {
    const before = await listModels();
    const done = await at.runJson('import', 'walker.gltf', '--space', space, '--with-models');
    const added = (await listModels()).slice(0, -before.length || undefined);
    expect(added).toMatchObject([{ name: 'walker.glb' }]);
    const [{ id } = { id: '' }] = added;
    expect(done).toMatchObject({ objects: 6, notPreserved: [], model: { id, isNew: true, objects: 4 } });
    const state = await at.loadState(space);
    expect(state.models.map((model) => model.id)).toEqual([id]);
    expect(state.objects.map(({ name, modelId }) => [name, modelId]).toSorted()).toEqual([
      ['bent', id],
      ['crate', id],
      ['crate', id],
      ['figure', id],
      ['hip', null],
      ['knee', null],
    ]);
    expect(objectOf(state, 'knee').properties.gltf).toEqual({ node: 1, model: id });
    expect(objectOf(state, 'figure').properties.gltf).toMatchObject({
      model: id,
      mesh: { name: 'body' },
      skin: { index: 0, name: 'bones' },
    });
    const response = await at.request(`/models/${id}/file`);
    expect(await readAppearance(new Uint8Array(await response.arrayBuffer()))).toEqual(await readWalker());
  });

  it('stores no file that the library has already', async () => {
    const first = await at.runJson('import', 'walker.gltf', '--space', space, '--with-models');
    const before = await listModels();
    const again = await at.runJson('import', 'walker.gltf', '--space', uniqueName('s'), '--with-models');
    expect(again.model).toMatchObject({ id: (first.model as Listed).id, isNew: false });
    expect(await listModels()).toEqual(before);
  });

  it('keeps the bytes of a file that needs no other', async () => {
    const json = { asset: { version: '2.0' }, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0 }] };
    const glb = writeGlb(
      {
        ...json,
        meshes: [{ primitives: [{ attributes: { POSITION: 0 } }] }],
        accessors: [
          { bufferView: 0, componentType: 5126, count: 3, type: 'VEC3', min: [0, 0, 0], max: [1, 1, 0] },
        ],
        bufferViews: [{ buffer: 0, byteLength: 36 }],
        buffers: [{ byteLength: 36 }],
      },
      [new Uint8Array(new Float32Array([0, 0, 0, 1, 0, 0, 0, 1, 0]).buffer)],
    );
    await writeFile(join(at.folder, 'plain.glb'), glb);
    const { model } = await at.runJson('import', 'plain.glb', '--space', space, '--with-models');
    const response = await at.request(`/models/${(model as Listed).id}/file`);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(glb);
  });

  it('leaves nothing behind if a part is missing, or if the world is refused', async () => {
    const before = await listModels();
    const text = new TextDecoder().decode(files['walker.gltf']);
    await writeFile(join(at.folder, 'lost.gltf'), text.replace('walker.bin', 'gone.bin'));
    const lost = await at.run('import', 'lost.gltf', '--space', space, '--with-models');
    expect([lost.code, lost.stderr]).toEqual([
      1,
      expect.stringContaining('buffer 0 (gone.bin) cannot be read, and --with-models needs it'),
    ]);
    await writeFile(join(at.folder, 'other.gltf'), text.replace('"paint"', '"polish"'));
    const refused = await at.run(
      ...['import', 'other.gltf', '--space', space, '--with-models', '--name', 'x'.repeat(1_000)],
    );
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('name')]);
    expect(refused.stderr).toContain('sent the model');
    expect(await listModels()).toEqual(before);
    expect((await at.request(`/spaces/${space}`)).status).toBe(404);
  });

  it('publishes no file outside of the folder of the scene, no hidden file and no file that is no image', async () => {
    const before = await listModels();
    const outside = await mkdtemp(join(tmpdir(), 'worldkeep-outside-'));
    await writeFile(join(outside, 'secret.png'), PNG);
    await symlink(outside, join(at.folder, 'link'));
    await writeFile(join(at.folder, '.hidden.png'), PNG);
    await writeFile(join(at.folder, 'notes.txt'), 'secret');
    for (const uri of ['link/secret.png', '.hidden.png', 'notes.txt']) {
      const scene = {
        asset: { version: '2.0' },
        images: [{ uri }],
        meshes: [{ primitives: [{ attributes: {} }] }],
      };
      await writeFile(
        join(at.folder, 'sly.gltf'),
        JSON.stringify({ ...scene, nodes: [{ mesh: 0 }], scenes: [{ nodes: [0] }] }),
      );
      const { code, stderr } = await at.run('import', 'sly.gltf', '--space', space, '--with-models');
      expect([uri, code]).toEqual([uri, 1]);
      expect(stderr).toMatch(/image 0 .*(cannot be read|is no PNG)/);
    }
    expect(await listModels()).toEqual(before);
    await rm(outside, { recursive: true });
  });

  it('sends a model in parts to a server that takes less in one request', async () => {
    const small = await openWorkplace({ ASSET_BYTES_MAX: '100' });
    try {
      for (const [name, bytes] of Object.entries(files)) await writeFile(join(small.folder, name), bytes);
      const { model } = await small.runJson('import', 'walker.gltf', '--space', space, '--with-models');
      const response = await small.request(`/models/${(model as Listed).id}/file`);
      expect(await readAppearance(new Uint8Array(await response.arrayBuffer()))).toEqual(await readWalker());
    } finally {
      await small.close();
    }
  });

  it('says how many objects the model has the shapes of, and that a file without meshes has none', async () => {
    const gltf = {
      asset: { version: '2.0' },
      nodes: [{ mesh: 0 }],
      meshes: [{ primitives: [{ attributes: {} }] }],
    };
    await writeFile(join(at.folder, 'one.gltf'), JSON.stringify(gltf));
    const { stdout } = await at.run('import', 'one.gltf', '--space', uniqueName('s'), '--with-models');
    expect(stdout).toMatch(/^model \S+ \(new, \d+ bytes\) has the shapes of 1 object$/m);
    await writeFile(join(at.folder, 'bare.gltf'), JSON.stringify({ asset: { version: '2.0' }, nodes: [{}] }));
    const bare = await at.run('import', 'bare.gltf', '--space', uniqueName('s'), '--with-models');
    expect([bare.code, bare.stdout]).toEqual([
      0,
      expect.stringContaining('\nnote: no meshes: no model stored\n'),
    ]);
    const plain = await at.run('import', 'bare.gltf', '--space', uniqueName('s'));
    expect(plain.stdout).not.toContain('note:');
  });

  it('says that another kind of file has no shapes', async () => {
    await writeFile(join(at.folder, 'world.json'), JSON.stringify({ objects: [] }));
    const { code, stderr } = await at.run('import', 'world.json', '--space', space, '--with-models');
    expect([code, stderr]).toEqual([2, expect.stringContaining('--with-models needs a glTF file')]);
  });
});

describe('worldkeep export --with-models (A13)', () => {
  it('writes a scene that looks the same, with its skins, animations and sheared nodes', async () => {
    await at.runJson('import', 'walker.gltf', '--space', space, '--with-models');
    const before = await readWalker();
    expect(before).toMatchObject({ nodes: 6, meshes: 2, shown: { length: 4 }, animations: { length: 1 } });
    expect(await readAppearance(await exportGlb(space))).toEqual(before);
    await exportGlb(space, `${space}.gltf`);
    const { NodeIO } = await import('@gltf-transform/core');
    const io = new NodeIO();
    const text = await io.read(join(at.folder, `${space}.gltf`));
    expect(await readAppearance(await io.writeBinary(text))).toEqual(before);
  });

  it('shows what changed in the world, and looks the same after another import', async () => {
    await at.runJson('import', 'walker.gltf', '--space', space, '--with-models');
    const { id } = objectOf(await at.loadState(space), 'figure');
    const ops = [{ op: 'patch', id, position: { x: 100, y: 0, z: 0 } }];
    expect((await at.request(`/spaces/${space}/updates`, 'POST', { ops })).status).toBe(200);
    const moved = await readAppearance(await exportGlb(space));
    expect(moved.bounds[3]).toBeGreaterThan(100);
    const copy = uniqueName('s');
    await at.runJson('import', `${space}.glb`, '--space', copy, '--with-models');
    expect(await readAppearance(await exportGlb(copy))).toEqual(moved);
  });

  it('is the same world after an import without the models', async () => {
    await at.runJson('import', 'walker.gltf', '--space', space, '--with-models');
    await exportGlb(space);
    const copy = uniqueName('s');
    await at.runJson('import', `${space}.glb`, '--space', copy);
    const plain = ({ objects }: WorldState) =>
      objects.map(({ spaceId, seq, createdAt, updatedAt, ...object }) => object);
    expect(plain(await at.loadState(copy))).toEqual(plain(await at.loadState(space)));
  });

  it('writes whole models below their objects, each as often as it is shown', async () => {
    const { model } = await at.runJson('import', 'walker.gltf', '--space', uniqueName('s'), '--with-models');
    const { id: modelId } = model as Listed;
    const objects = [1, 2].map((x) => ({ id: `walker-${x}`, modelId, position: { x: x * 100, y: 0, z: 0 } }));
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Yard' });
    await at.request(`/spaces/${space}/state`, 'PUT', { objects });
    const glb = await exportGlb(space);
    const looks = await readAppearance(glb);
    expect(looks).toMatchObject({ nodes: 14, meshes: 2, shown: { length: 8 }, animations: { length: 2 } });
    // Without models, the same two objects. With models, their parts are objects.
    const [same, parts] = [uniqueName('s'), uniqueName('s')];
    expect(await at.runJson('import', `${space}.glb`, '--space', same)).toMatchObject({ objects: 2 });
    expect((await at.loadState(same)).objects).toMatchObject(objects);
    await at.runJson('import', `${space}.glb`, '--space', parts, '--with-models');
    expect((await at.loadState(parts)).objects).toHaveLength(14);
    expect(await readAppearance(await exportGlb(parts))).toEqual(looks);
  });

  it('writes a model whose nodes are 15,000 levels deep', async () => {
    const nodes = Array.from({ length: 15_000 }, (_, i) =>
      i < 14_999 ? { children: [i + 1] } : { mesh: 0 },
    );
    const file = makeGlb({ json: { nodes, scenes: [{ nodes: [0] }] } });
    const uploaded = await fetch(`${at.url}/v1/models?name=deep.glb`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${at.env.WORLDKEEP_API_KEY}`, 'Content-Type': 'model/gltf-binary' },
      body: file,
    });
    const { id } = (await uploaded.json()) as { id: string };
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Deep' });
    const ops = [{ op: 'put', id: 'deep', modelId: id }];
    expect((await at.request(`/spaces/${space}/updates`, 'POST', { ops })).status).toBe(200);
    const text = new TextDecoder().decode(await exportGlb(space, `${space}.gltf`));
    expect((JSON.parse(text) as { nodes: unknown[] }).nodes).toHaveLength(15_001);
  });

  it('says which models the library does not have', async () => {
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Yard' });
    await at.request(`/spaces/${space}/state`, 'PUT', { objects: [{ id: 'a', modelId: 'nowhere' }] });
    const { code, stderr } = await at.run(
      ...['export', '--space', space, '--format', 'gltf', '--with-models', '-o', 'a.glb'],
    );
    expect([code, stderr]).toEqual([0, expect.stringContaining('the library lacks 1 model,')]);
    expect(stderr).toContain('nowhere');
  });

  it('is of glTF alone', async () => {
    const { code, stderr } = await at.run('export', '--space', space, '--with-models');
    expect([code, stderr]).toEqual([2, expect.stringContaining('--with-models needs --format gltf')]);
  });
});
