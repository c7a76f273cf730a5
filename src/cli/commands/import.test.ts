import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import { runCli } from '../testing/run-cli.ts';
import { serveApp } from '../testing/serve-app.ts';
import { contentOf, openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
beforeAll(async () => {
  at = await openWorkplace();
});
afterAll(async () => {
  await at.close();
});

describe('worldkeep import', () => {
  const NODES = [
    { name: 'street', children: [1], translation: [0.1, 0.2, 0.3] },
    { name: 'lamp', rotation: [0, 0, 0, 2], scale: [1 / 3, 1, 1], extras: { watts: 60 } },
  ];
  const writeGltf = (file: string, nodes: object[]) =>
    writeFile(join(at.folder, file), JSON.stringify({ asset: { version: '2.0' }, nodes }));

  it('makes the space where it is new, named after the file or as it is told', async () => {
    await writeGltf('town.gltf', NODES);
    const space = uniqueName('s');
    expect(await at.runJson('import', 'town.gltf', '--space', space)).toMatchObject({
      file: 'town.gltf',
      format: 'gltf',
      space,
      created: true,
      mode: 'replace',
      objects: 2,
      normalisedRotations: 1,
      durability: 'committed',
    });
    const state = await at.loadState(space);
    expect(state.space.name).toBe('town');
    expect(state.objects.map(({ id, parentId }) => [id, parentId])).toEqual([
      ['town:0', null],
      ['town:1', 'town:0'],
    ]);
    expect(state.objects[1]).toMatchObject({
      rotation: { x: 0, y: 0, z: 0, w: 1 },
      scale: { x: 1 / 3, y: 1, z: 1 },
      properties: { gltf: { node: 1 }, extras: { watts: 60 } },
    });
    const named = uniqueName('s');
    await at.runJson('import', 'town.gltf', '--space', named, '--name', 'Old town');
    expect((await at.loadState(named)).space.name).toBe('Old town');
  });

  it('replaces what was there, or is merged into it', async () => {
    await writeGltf('one.gltf', [{}, {}]);
    await writeGltf('two.gltf', [{}]);
    const space = uniqueName('s');
    const ids = async () => (await at.loadState(space)).objects.map(({ id }) => id);
    await at.runJson('import', 'one.gltf', '--space', space);
    expect(await at.runJson('import', 'two.gltf', '--space', space, '--mode', 'merge')).toMatchObject({
      created: false,
    });
    expect(await ids()).toEqual(['one:0', 'one:1', 'two:0']);
    await at.runJson('import', 'two.gltf', '--space', space);
    expect(await ids()).toEqual(['two:0']);
  });

  it('says what it did in plain lines where there is no terminal', async () => {
    await writeGltf('plain.gltf', NODES);
    const { code, stdout, stderr } = await at.run('import', 'plain.gltf', '--space', uniqueName('s'));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^plain\.gltf is now space s-\w+ \(made\): 2 objects, 1 rotations normalised, seq \d+, committed\n$/,
    );
    expect(stderr).toMatch(/^read plain\.gltf: gltf, 2 objects\nsent: [\d,]+ bytes\n$/);
  });

  it('takes the backup of an in-memory server', async () => {
    const backup = {
      objects: { lamp: { position: { x: 1, y: 2, z: 3 }, colour: 'red' } },
      models: { m1: { url: 'https://example.org/m.glb', name: 'm' } },
      chatHistory: [{ id: 'c1', text: 'hello', timestamp: 1_700_000_000_000 }],
    };
    await writeFile(join(at.folder, 'backup.json'), JSON.stringify(backup));
    const space = uniqueName('s');
    expect(await at.runJson('import', 'backup.json', '--space', space)).toMatchObject({
      format: 'backup',
      objects: 1,
    });
    expect(contentOf(await at.loadState(space))).toMatchObject({
      objects: [{ id: 'lamp', position: { x: 1, y: 2, z: 3 }, properties: { colour: 'red' } }],
      chat: [{ id: 'c1', text: 'hello' }],
    });
  });

  it('leaves no space behind where the world does not get in', async () => {
    await writeGltf('ok.gltf', [{}]);
    const { url, close } = await serveApp(async (incoming) => {
      const target = new URL(incoming.url);
      if (target.pathname.endsWith('/state'))
        return Response.json(
          { title: 'no', errors: [{ path: '/objects/0/scale', message: 'is not liked' }] },
          { status: 422 },
        );
      return fetch(at.url + target.pathname, {
        method: incoming.method,
        headers: {
          authorization: incoming.headers.get('authorization') ?? '',
          'content-type': 'application/json',
        },
        ...(incoming.method === 'PUT' && { body: await incoming.text() }),
      });
    });
    const space = uniqueName('s');
    const { code, stderr } = await runCli(['import', 'ok.gltf', '--space', space], {
      env: { ...at.env, WORLDKEEP_URL: url },
      cwd: at.folder,
    });
    await close();
    expect(code).toBe(1);
    expect(stderr).toContain('worldkeep: ok.gltf: node 0: scale is not liked');
    expect((await at.request(`/spaces/${space}`)).status).toBe(404);
  });

  it('interrupted while it sends, removes the space it made and exits with 1', async () => {
    await writeGltf('slow.gltf', [{}]);
    let interrupt: () => void = () => undefined;
    const { url, close } = await serveApp(async (incoming) => {
      const target = new URL(incoming.url);
      if (target.pathname.endsWith('/state')) {
        interrupt();
        return new Promise<Response>(() => undefined);
      }
      return fetch(at.url + target.pathname, {
        method: incoming.method,
        headers: {
          authorization: incoming.headers.get('authorization') ?? '',
          'content-type': 'application/json',
        },
        ...(incoming.method === 'PUT' && { body: await incoming.text() }),
      });
    });
    const space = uniqueName('s');
    const { code, stderr } = await runCli(['import', 'slow.gltf', '--space', space], {
      env: { ...at.env, WORLDKEEP_URL: url },
      cwd: at.folder,
      onSpawn: (child) => {
        interrupt = () => child.kill('SIGINT');
      },
    });
    await close();
    expect({ code, said: stderr.trim().split('\n').at(-1) }).toEqual({
      code: 1,
      said: 'worldkeep: interrupted',
    });
    expect((await at.request(`/spaces/${space}`)).status).toBe(404);
  });

  it('a broken scene changes nothing', async () => {
    await writeGltf('good.gltf', [{ name: 'kept' }]);
    await writeGltf('bad.gltf', [{}, { name: 'b', children: [7] }]);
    const space = uniqueName('s');
    await at.runJson('import', 'good.gltf', '--space', space);
    const before = await at.loadState(space);
    const { code, stderr } = await at.run('import', 'bad.gltf', '--space', space);
    expect(code).toBe(1);
    expect(stderr).toContain('worldkeep: bad.gltf: node 1 "b": child 7 does not exist: the file has 2 nodes');
    expect(await at.loadState(space)).toEqual(before);
  });

  it('an unknown key exits with 1 and is not repeated', async () => {
    await writeGltf('key.gltf', [{}]);
    const key = `wk_${at.tenant}_${'x'.repeat(43)}`;
    const { code, stdout, stderr } = await runCli(['import', 'key.gltf', '--space', 's', '--json'], {
      env: { ...at.env, WORLDKEEP_API_KEY: key },
      cwd: at.folder,
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'unauthorized', status: 401 });
    expect(stderr + stdout).not.toContain(key);
  });
});
