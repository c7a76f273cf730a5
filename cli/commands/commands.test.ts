import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../functions/app.ts';
import { compose } from '../../functions/compose.ts';
import type { JsonObject, WorldState } from '../../src/world/types.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { readScene } from '../formats/read-scene.ts';
import { type Run, runCli } from '../testing/run-cli.ts';
import { type Served, serveApp } from '../testing/serve-app.ts';

const tenant = uniqueName('cli');
const REAL_SCENES = join(import.meta.dirname, '../../../shared/data/scenes');
const realScenes = await access(REAL_SCENES).then(
  () => true,
  () => false,
);

let folder = '';
let served: Served;
let env: Record<string, string> = {};

const run = (...args: string[]): Promise<Run> => runCli(args, { env, cwd: folder });
const inFolder = (file: string) => join(folder, file);

/** What a command prints with --json. */
async function runJson(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

async function request(path: string, method = 'GET', body?: unknown): Promise<Response> {
  return fetch(`${served.url}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${env.WORLDKEEP_API_KEY}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function loadState(space: string): Promise<WorldState> {
  const response = await request(`/spaces/${space}/state`);
  expect(response.status).toBe(200);
  return (await response.json()) as WorldState;
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, object[key] ?? null]));
}

/** What of a world must survive: all but where it is and when it was written. */
function contentOf({ objects, users, models, media, chat }: WorldState) {
  const strip = (items: readonly object[]) =>
    items.map((item) => {
      const { spaceId, seq, updatedAt, updatedBy, ...rest } = item as Record<string, unknown>;
      return rest;
    });
  return {
    objects: strip(objects),
    users: strip(users),
    models: strip(models),
    media: strip(media),
    chat: strip(chat),
  };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worldkeep-cli-'));
  const { databaseUrl, databaseHttpUrl } = stack();
  const app = createApp(compose({ DATABASE_URL: databaseUrl, DATABASE_HTTP_URL: databaseHttpUrl }));
  served = await serveApp((request) => app.fetch(request));
  env = { DATABASE_URL: databaseUrl };
  const key = await runJson('keys', 'create', '--tenant', tenant, '--scopes', 'read,write');
  env = { WORLDKEEP_URL: served.url, WORLDKEEP_API_KEY: String(key.secret) };
});
afterAll(async () => {
  await served.close();
  await rm(folder, { recursive: true, force: true });
});

describe('worldkeep keys create', () => {
  const create = (...args: string[]) =>
    runCli(['keys', 'create', ...args], { env: { DATABASE_URL: stack().databaseUrl } });

  it('makes the tenant where it is new, and prints the key once', async () => {
    const made = uniqueName('new');
    const { code, stdout } = await create(
      '--tenant',
      made,
      '--scopes',
      'read,admin',
      '--expires',
      '2099-01-31T01:00:00+01:00',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      id: expect.stringMatching(/^key_/),
      tenantId: made,
      scopes: ['read', 'admin'],
      expiresAt: '2099-01-31T00:00:00.000Z',
      secret: expect.stringMatching(new RegExp(`^wk_${made}_[\\w-]{43}$`)),
    });
    expect((await create('--tenant', made, '--scopes', 'read')).code).toBe(0);
  });

  it('prints the secret alone on stdout, so that a script can take it', async () => {
    const { stdout, stderr } = await create('--tenant', tenant, '--scopes', 'read');
    expect(stdout).toMatch(/^wk_[\w-]+\n$/);
    expect(stderr).not.toContain(stdout.trim());
  });
});

describe('worldkeep import', () => {
  const NODES = [
    { name: 'street', children: [1], translation: [0.1, 0.2, 0.3] },
    { name: 'lamp', rotation: [0, 0, 0, 2], scale: [1 / 3, 1, 1], extras: { watts: 60 } },
  ];
  const writeGltf = (file: string, nodes: object[]) =>
    writeFile(inFolder(file), JSON.stringify({ asset: { version: '2.0' }, nodes }));

  it('makes the space where it is new, named after the file or as it is told', async () => {
    await writeGltf('town.gltf', NODES);
    const space = uniqueName('s');
    expect(await runJson('import', 'town.gltf', '--space', space)).toMatchObject({
      file: 'town.gltf',
      format: 'gltf',
      space,
      created: true,
      mode: 'replace',
      objects: 2,
      normalisedRotations: 1,
      durability: 'committed',
    });
    const state = await loadState(space);
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
    await runJson('import', 'town.gltf', '--space', named, '--name', 'Old town');
    expect((await loadState(named)).space.name).toBe('Old town');
  });

  it('replaces what was there, or is merged into it', async () => {
    await writeGltf('one.gltf', [{}, {}]);
    await writeGltf('two.gltf', [{}]);
    const space = uniqueName('s');
    const ids = async () => (await loadState(space)).objects.map(({ id }) => id);
    await runJson('import', 'one.gltf', '--space', space);
    expect(await runJson('import', 'two.gltf', '--space', space, '--mode', 'merge')).toMatchObject({
      created: false,
    });
    expect(await ids()).toEqual(['one:0', 'one:1', 'two:0']);
    await runJson('import', 'two.gltf', '--space', space);
    expect(await ids()).toEqual(['two:0']);
  });

  it('says what it did in plain lines where there is no terminal', async () => {
    await writeGltf('plain.gltf', NODES);
    const { code, stdout, stderr } = await run('import', 'plain.gltf', '--space', uniqueName('s'));
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
    await writeFile(inFolder('backup.json'), JSON.stringify(backup));
    const space = uniqueName('s');
    expect(await runJson('import', 'backup.json', '--space', space)).toMatchObject({
      format: 'backup',
      objects: 1,
    });
    expect(contentOf(await loadState(space))).toMatchObject({
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
      return fetch(served.url + target.pathname, {
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
      env: { ...env, WORLDKEEP_URL: url },
      cwd: folder,
    });
    await close();
    expect(code).toBe(1);
    expect(stderr).toContain('worldkeep: ok.gltf: node 0: scale is not liked');
    expect((await request(`/spaces/${space}`)).status).toBe(404);
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
      return fetch(served.url + target.pathname, {
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
      env: { ...env, WORLDKEEP_URL: url },
      cwd: folder,
      onSpawn: (child) => {
        interrupt = () => child.kill('SIGINT');
      },
    });
    await close();
    expect({ code, said: stderr.trim().split('\n').at(-1) }).toEqual({
      code: 1,
      said: 'worldkeep: interrupted',
    });
    expect((await request(`/spaces/${space}`)).status).toBe(404);
  });

  it('a broken scene changes nothing', async () => {
    await writeGltf('good.gltf', [{ name: 'kept' }]);
    await writeGltf('bad.gltf', [{}, { name: 'b', children: [7] }]);
    const space = uniqueName('s');
    await runJson('import', 'good.gltf', '--space', space);
    const before = await loadState(space);
    const { code, stderr } = await run('import', 'bad.gltf', '--space', space);
    expect(code).toBe(1);
    expect(stderr).toContain('worldkeep: bad.gltf: node 1 "b": child 7 does not exist: the file has 2 nodes');
    expect(await loadState(space)).toEqual(before);
  });

  it('an unknown key exits with 1 and is not repeated', async () => {
    await writeGltf('key.gltf', [{}]);
    const key = `wk_${tenant}_${'x'.repeat(43)}`;
    const { code, stdout, stderr } = await runCli(['import', 'key.gltf', '--space', 's', '--json'], {
      env: { ...env, WORLDKEEP_API_KEY: key },
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'unauthorized', status: 401 });
    expect(stderr + stdout).not.toContain(key);
  });
});

describe('worldkeep export', () => {
  it('and import again is the same world, bit for bit', async () => {
    const space = uniqueName('s');
    const copy = uniqueName('s');
    const settings = { sky: 'blue' };
    await request(`/spaces/${space}`, 'PUT', { name: 'Plaza', description: 'the old one', settings });
    const world = {
      objects: [
        {
          id: 'a',
          name: 'Ä "quoted" \\ 世界 😀',
          modelId: 'm',
          parentId: 'gone',
          position: { x: 0.1 + 0.2, y: 5e-324, z: -1.7976931348623157e308 },
          rotation: { x: 0.5, y: 0.5, z: 0.5, w: 0.50001 },
          scale: { x: 1 / 3, y: -2, z: 1e21 },
          properties: { list: [], nested: { empty: {}, nothing: null }, big: 12345678901234567890 },
        },
        { id: 'b', parentId: 'a' },
      ],
      users: [
        { id: 'u', displayName: 'Uma', position: { x: 1, y: 1.5, z: 1e-7 }, properties: { hat: 'red' } },
      ],
      models: [
        {
          id: uniqueName('m'),
          name: 'tree',
          url: 'https://example.org/tree.glb',
          bytes: 12,
          contentType: 'model/gltf-binary',
        },
      ],
      media: [
        { id: uniqueName('i'), name: 'sign', url: 'https://example.org/sign.png', sha256: 'a'.repeat(64) },
      ],
      chat: [
        { id: uniqueName('c'), userId: 'u', text: 'hello\n"you"', createdAt: '2026-01-02T03:04:05.678Z' },
      ],
    };
    expect((await request(`/spaces/${space}/state`, 'PUT', world)).status).toBe(200);

    const done = await runJson('export', '--space', space, '-o', 'plaza.json');
    expect(done).toMatchObject({ space, file: 'plaza.json', objects: 2 });
    await runJson('import', 'plaza.json', '--space', copy);
    const [before, after] = [await loadState(space), await loadState(copy)];
    expect(contentOf(after)).toEqual(contentOf(before));
    expect(JSON.stringify(contentOf(after))).toBe(JSON.stringify(contentOf(before)));
    expect(after.space).toMatchObject({ name: 'Plaza', description: 'the old one', settings });
    expect(after.chat.map(({ createdAt }) => createdAt)).toEqual(
      before.chat.map(({ createdAt }) => createdAt),
    );
  });

  it('writes the state alone to stdout', async () => {
    const space = uniqueName('s');
    await request(`/spaces/${space}`, 'PUT', { name: 'Empty' });
    const { code, stdout, stderr } = await run('export', '--space', space);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(await loadState(space));
    expect(stderr).toContain(`exported space ${space}: 0 objects`);
  });

  it('leaves the file as it was where it fails', async () => {
    await writeFile(inFolder('kept.json'), 'before');
    const { code, stderr } = await run('export', '--space', uniqueName('none'), '-o', 'kept.json');
    expect(code).toBe(1);
    expect(stderr).toContain('worldkeep: there is no space none-');
    const half = '{"seq":1,"objects":[{"id":"a"}';
    const bodies = [
      half,
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(half)),
        pull: (controller) => controller.error(new Error('the line is cut')),
      }),
    ];
    const { url, close } = await serveApp(() => new Response(bodies.shift() ?? null));
    const options = { env: { ...env, WORLDKEEP_URL: url }, cwd: folder };
    const short = await runCli(['export', '--space', 's', '-o', 'kept.json'], options);
    const cut = await runCli(['export', '--space', 's', '-o', 'kept.json'], options);
    await close();
    expect([short.code, cut.code]).toEqual([1, 1]);
    expect(short.stderr).toContain('worldkeep: the server answered with something that is no world');
    expect(cut.stderr).toContain(` from ${url}: `);
    expect((await readdir(folder)).filter((name) => name.includes('.part'))).toEqual([]);
    expect(await readFile(inFolder('kept.json'), 'utf8')).toBe('before');
  });

  it('says why a file cannot be written', async () => {
    const space = uniqueName('s');
    await request(`/spaces/${space}`, 'PUT', { name: 'Empty' });
    const attempts = [
      await run('export', '--space', space, '-o', 'no/such/x.json'),
      await run('export', '--space', space, '-o', '.'),
    ];
    expect(attempts.map(({ code }) => code)).toEqual([1, 1]);
    expect(attempts[0]?.stderr).toContain(
      'worldkeep: no/such/x.json cannot be written: its folder does not exist',
    );
    expect(attempts[1]?.stderr).toContain('worldkeep: . is a folder, not a file');
  });
});

describe(`real scenes${realScenes ? '' : ' (skipped: ../shared/data/scenes is not there)'}`, () => {
  it.skipIf(!realScenes).each([
    ['many-cubes.gltf', 506],
    ['hubs-test-scene.spoke', 29],
    ['duck.glb', 6],
    ['knight.glb', 1],
  ])('%s: imported, exported and imported again is the same world', async (file, count) => {
    const [space, copy] = [uniqueName('s'), uniqueName('s')];
    expect(await runJson('import', join(REAL_SCENES, file), '--space', space)).toMatchObject({
      objects: count,
      normalisedRotations: 0,
    });
    await runJson('export', '--space', space, '-o', `${space}.json`);
    await runJson('import', `${space}.json`, '--space', copy);
    const [before, after] = [await loadState(space), await loadState(copy)];
    expect(before.objects).toHaveLength(count);
    const path = join(REAL_SCENES, file);
    const scene = await readScene(await readFile(path), { file, stem: parse(file).name });
    // As text, for −0 is kept as 0, and JSON writes both so.
    const fromFile = new Map((scene.world.objects as JsonObject[]).map((object) => [object.id, object]));
    for (const { id, name, parentId, position, rotation, scale } of before.objects)
      expect(JSON.stringify({ id, name, parentId, position, rotation, scale })).toBe(
        JSON.stringify(
          pick(fromFile.get(id) ?? {}, ['id', 'name', 'parentId', 'position', 'rotation', 'scale']),
        ),
      );
    expect(JSON.stringify(contentOf(after))).toBe(JSON.stringify(contentOf(before)));
  });
});
