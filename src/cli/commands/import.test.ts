import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import { runCli } from '../testing/run-cli.ts';
import { runHere } from '../testing/run-here.ts';
import { runJsonHere } from '../testing/run-json-here.ts';
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
    const added = /^two:0-[0-9a-f]{12}$/;
    expect(await ids()).toEqual(['one:0', 'one:1', expect.stringMatching(added)]);
    await at.runJson('import', 'two.gltf', '--space', space);
    expect(await ids()).toEqual(['two:0']);
    // The node has no id of its own, so it is no object that is there.
    await runJsonHere(at, 'import', 'two.gltf', '--space', space, '--mode', 'merge');
    expect(await ids()).toEqual(['two:0', expect.stringMatching(added)]);
  });

  it('says how many objects the world had that it replaced', async () => {
    const space = uniqueName('s');
    await writeGltf('two.gltf', [{}, {}]);
    await writeGltf('one.gltf', [{}]);
    expect((await at.run('import', 'two.gltf', '--space', space)).stdout).not.toContain('replaced');
    const { stdout } = await at.run('import', 'one.gltf', '--space', space);
    expect(stdout).toContain(`one.gltf is now space ${space} (replaced a world of 2 objects): 1 object, seq`);
    expect(await at.runJson('import', 'one.gltf', '--space', space)).toMatchObject({ objectsBefore: 1 });
    const merged = await at.runJson('import', 'one.gltf', '--space', space, '--mode', 'merge');
    expect(merged.objectsBefore).toBeNull();
  });

  it('says how many objects of the space a merge replaces', async () => {
    const space = uniqueName('s');
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Here' });
    await at.request(`/spaces/${space}/state`, 'PUT', { objects: [{ id: 'lamp' }, { id: 'tree' }] });
    const lamp = { name: 'their lamp', extras: { worldkeep: { id: 'lamp' } } };
    await writeGltf('theirs.gltf', [lamp, { name: 'new' }]);
    const merged = await runJsonHere(at, 'import', 'theirs.gltf', '--space', space, '--mode', 'merge');
    expect(merged.notes).toEqual([
      {
        code: 'replaced_objects',
        count: 1,
        message: 'objects of the space with an id of the file were replaced (1)',
      },
    ]);
    expect((await at.loadState(space)).objects.map(({ name }) => name)).toEqual([
      'their lamp',
      expect.anything(),
      null,
    ]);
  });

  it('says what it did in plain lines where there is no terminal', async () => {
    await writeGltf('plain.gltf', NODES);
    const { code, stdout, stderr } = await at.run('import', 'plain.gltf', '--space', uniqueName('s'));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^plain\.gltf is now space s-\w+ \(made\): 2 objects, normalised 1 rotation, seq \d+, committed\n$/,
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

  it('and export bring back every message, not the last 50', async () => {
    const messages = Array.from({ length: 120 }, (_, i) => ({
      id: `m${String(i).padStart(3, '0')}`,
      message: `message ${i}`,
      timestamp: 1_700_000_000_000 + i * 1_000,
    }));
    await writeFile(
      join(at.folder, 'talk.json'),
      JSON.stringify({ objects: { a: {} }, chatHistory: messages }),
    );
    const spaces = [uniqueName('s'), uniqueName('s')] as const;
    const exported = [];
    for (const [i, space] of spaces.entries()) {
      await runJsonHere(at, 'import', i === 0 ? 'talk.json' : 'talk-0.json', '--space', space);
      await runJsonHere(at, 'export', '--space', space, '-o', `talk-${i}.json`);
      exported.push(JSON.parse(await readFile(join(at.folder, `talk-${i}.json`), 'utf8')));
    }
    for (const { chat } of exported)
      expect(chat.map(({ text }: { text: string }) => text)).toEqual(messages.map(({ message }) => message));
    expect(contentOf(exported[1]).chat).toEqual(contentOf(exported[0]).chat);
  });

  it('keeps the space it made where the world is accepted and not yet committed', async () => {
    await writeGltf('later.gltf', [{}]);
    const { url, close } = await serveApp(async (incoming) => {
      const { pathname } = new URL(incoming.url);
      if (pathname.endsWith('/state'))
        return Response.json({ seq: 7, accepted: 1, durability: 'queued' }, { status: 202 });
      const headers = {
        authorization: incoming.headers.get('authorization') ?? '',
        'content-type': 'application/json',
      };
      const body = incoming.method === 'PUT' ? { body: await incoming.text() } : {};
      return fetch(at.url + pathname, { method: incoming.method, headers, ...body });
    });
    const space = uniqueName('s');
    const { code, stdout } = await runHere(['import', 'later.gltf', '--space', space], {
      env: { ...at.env, WORLDKEEP_URL: url },
      cwd: at.folder,
    });
    await close();
    expect([code, stdout]).toEqual([0, expect.stringContaining('1 object, seq 7, queued')]);
    expect((await at.request(`/spaces/${space}`)).status).toBe(200);
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
    expect(stderr).toContain(
      'worldkeep: the server refused: The server does not recognize this credential. Check WORLDKEEP_API_KEY.\n',
    );
    expect(stderr + stdout).not.toContain(key);
  });
});
