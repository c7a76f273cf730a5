import { readdir, readFile, writeFile } from 'node:fs/promises';
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

describe('worldkeep export', () => {
  it('and import again is the same world, bit for bit', async () => {
    const space = uniqueName('s');
    const copy = uniqueName('s');
    const settings = { sky: 'blue' };
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Plaza', description: 'the old one', settings });
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
          properties: { list: [], nested: { empty: {}, nothing: null }, big: 12345678901234567000 },
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
    expect((await at.request(`/spaces/${space}/state`, 'PUT', world)).status).toBe(200);

    const done = await at.runJson('export', '--space', space, '-o', 'plaza.json');
    expect(done).toMatchObject({ space, file: 'plaza.json', objects: 2 });
    await at.runJson('import', 'plaza.json', '--space', copy);
    const [before, after] = [await at.loadState(space), await at.loadState(copy)];
    expect(contentOf(after)).toEqual(contentOf(before));
    expect(JSON.stringify(contentOf(after))).toBe(JSON.stringify(contentOf(before)));
    expect(after.space).toMatchObject({ name: 'Plaza', description: 'the old one', settings });
    expect(after.chat.map(({ createdAt }) => createdAt)).toEqual(
      before.chat.map(({ createdAt }) => createdAt),
    );
  });

  it('writes the state alone to stdout', async () => {
    const space = uniqueName('s');
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Empty' });
    const { code, stdout, stderr } = await at.run('export', '--space', space);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(await at.loadState(space));
    expect(stderr).toContain(`exported space ${space}: 0 objects`);
  });

  it('leaves the file as it was where it fails', async () => {
    await writeFile(join(at.folder, 'kept.json'), 'before');
    const { code, stderr } = await at.run('export', '--space', uniqueName('none'), '-o', 'kept.json');
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
    const options = { env: { ...at.env, WORLDKEEP_URL: url }, cwd: at.folder };
    const short = await runCli(['export', '--space', 's', '-o', 'kept.json'], options);
    const cut = await runCli(['export', '--space', 's', '-o', 'kept.json'], options);
    await close();
    expect([short.code, cut.code]).toEqual([1, 1]);
    expect(short.stderr).toContain('worldkeep: the world was cut off on its way here');
    expect(cut.stderr).toContain(` from ${url}: `);
    expect((await readdir(at.folder)).filter((name) => name.includes('.part'))).toEqual([]);
    expect(await readFile(join(at.folder, 'kept.json'), 'utf8')).toBe('before');
  });

  it('says why a file cannot be written', async () => {
    const space = uniqueName('s');
    await at.request(`/spaces/${space}`, 'PUT', { name: 'Empty' });
    const attempts = [
      await at.run('export', '--space', space, '-o', 'no/such/x.json'),
      await at.run('export', '--space', space, '-o', '.'),
    ];
    expect(attempts.map(({ code }) => code)).toEqual([1, 1]);
    expect(attempts[0]?.stderr).toContain(
      'worldkeep: no/such/x.json cannot be written: its folder does not exist',
    );
    expect(attempts[1]?.stderr).toContain('worldkeep: . is a folder, not a file');
  });
});
