import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from './testing/run-cli.ts';
import { runHere } from './testing/run-here.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worldkeep-cli-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Nobody listens there, so nothing that gets as far as a request succeeds. */
const NOWHERE = { WORLDKEEP_URL: 'http://127.0.0.1:9', WORLDKEEP_API_KEY: 'wk_t_secret' };

describe('worldkeep used wrongly exits with 2, a sentence and the usage', () => {
  it.each<[string[], string]>([
    [[], 'no command given'],
    [['explode'], 'unknown command: explode'],
    [['keys'], 'keys needs a second word: keys create, keys list, keys revoke'],
    [['keys', 'burn'], 'unknown command: keys burn'],
    [['help', 'explode'], 'unknown command: explode'],
    [['--loud'], 'unknown option: --loud'],
    [['keys', 'revoke'], 'missing required positional argument: ID'],
    [
      ['keys', 'revoke', 'a/b'],
      'ID must be 1 to 128 characters from A-Z a-z 0-9 . _ : - that are not all dots, not "a/b"',
    ],
    [['import', '--space', 's'], 'missing required positional argument: FILE'],
    [['import', 'f.glb'], 'missing required argument: --space'],
    [['import', 'f.glb', '--space'], "option '--space <value>' argument missing"],
    [['import', 'f.glb', '--space='], '--space must not be empty'],
    [
      ['import', 'f.glb', '--space', 'a/b'],
      '--space must be 1 to 128 characters from A-Z a-z 0-9 . _ : - that are not all dots, not "a/b"',
    ],
    [['import', 'f.glb', '--space', 's', '--loud'], "unknown option '--loud'"],
    [['import', 'f.glb', 'g.glb', '--space', 's'], 'unexpected argument: g.glb'],
    [['import', 'f.glb', '--space', 's', '--mode', 'add'], 'invalid value for argument: --mode (add)'],
    [['export', '--space', 's', '--format', 'fbx'], 'invalid value for argument: --format (fbx)'],
    [
      ['keys', 'create', '--tenant', 't', '--scopes', 'read,fly'],
      '--scopes must be of read, write, admin with commas between, not "fly"',
    ],
    [['keys', 'create', '--tenant', 'a b', '--scopes', 'read'], '--tenant must be 1 to 128 characters'],
    [
      ['export', '--space', '..'],
      '--space must be 1 to 128 characters from A-Z a-z 0-9 . _ : - that are not all dots',
    ],
    [
      ['keys', 'create', '--tenant', 't', '--scopes', 'read', '--expires', 'soon'],
      '--expires must be a time like',
    ],
    [
      ['keys', 'create', '--tenant', 't', '--scopes', 'read', '--expires', '2020-01-01T00:00:00Z'],
      '--expires must be in the future',
    ],
    [['simulate', '--hz', '10', '--seconds', '1'], 'missing required argument: --users'],
    [
      ['simulate', '--users', '1001', '--hz', '1', '--seconds', '1'],
      '--users must be a whole number from 1 to 1,000, not "1001"',
    ],
    [
      ['simulate', '--users', '1', '--hz', '61', '--seconds', '1'],
      '--hz must be a whole number from 1 to 60, not "61"',
    ],
    [
      ['simulate', '--users', '1', '--hz', '0.5', '--seconds', '1'],
      '--hz must be a whole number from 1 to 60, not "0.5"',
    ],
    [
      ['simulate', '--users', '1', '--hz', '1', '--seconds', '0'],
      '--seconds must be a whole number from 1 to 3,600, not "0"',
    ],
    [['link'], 'missing required argument: --space'],
    [['link', '--space', 's', '--role', 'king'], 'invalid value for argument: --role (king)'],
    [
      ['link', '--space', 's', '--ttl', '86401'],
      '--ttl must be a whole number from 1 to 86,400, not "86401"',
    ],
    [['link', '--space', 's', '--user', 'a b'], '--user must be 1 to 128 characters'],
    [
      ['simulate', '--users', '1', '--hz', '1', '--seconds', '1', '--space', 'a/b'],
      '--space must be 1 to 128 characters',
    ],
  ])('%j', async (args, sentence) => {
    const { code, stdout, stderr } = await runHere(args, { env: NOWHERE });
    expect(stderr).toContain(`worldkeep: ${sentence}`);
    expect(stderr).toContain('USAGE worldkeep');
    expect(stderr).not.toContain('\u001b');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('says it as a document too with --json', async () => {
    const { code, stdout } = await runHere(['import', '--json'], { env: NOWHERE });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'usage', message: 'missing required positional argument: FILE' },
    });
  });

  it.each<[string, Record<string, string>, string]>([
    ['no server', {}, 'no server to talk to: set WORLDKEEP_URL and WORLDKEEP_API_KEY'],
    ['no key', { WORLDKEEP_URL: 'http://127.0.0.1:9' }, 'WORLDKEEP_URL is set and WORLDKEEP_API_KEY is not'],
    [
      'no address',
      { ...NOWHERE, WORLDKEEP_URL: 'localhost' },
      'WORLDKEEP_URL must hold an http:// or https:// URL',
    ],
    [
      'a password in it',
      { ...NOWHERE, WORLDKEEP_URL: 'http://me:pw@127.0.0.1:9' },
      'WORLDKEEP_URL must not hold a user name or password',
    ],
    [
      'no key that can be sent',
      { ...NOWHERE, WORLDKEEP_API_KEY: 'a\nb' },
      'WORLDKEEP_API_KEY holds no API key',
    ],
  ])('%s, without the usage, which would not help', async (_, env, sentence) => {
    const { code, stderr } = await runHere(['export', '--space', 's'], { env, cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(`worldkeep: ${sentence}`);
    expect(stderr).not.toContain('USAGE');
  });
});

describe('as a process of its own', () => {
  it('exits with 2 for wrong use, 1 for failure, 0 when done, without colours where no terminal is', async () => {
    const runs = [
      await runCli(['import', '--json'], { env: NOWHERE }),
      await runCli(['import', 'absent.glb', '--space', 's'], { env: NOWHERE, cwd: folder }),
      await runCli(['help', 'import'], { env: { FORCE_COLOR: '1' } }),
    ];
    expect(runs.map(({ code }) => code)).toEqual([2, 1, 0]);
    for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain('\u001b');
    expect(JSON.parse(runs[0]?.stdout ?? '')).toMatchObject({ error: { code: 'usage' } });
    expect(runs[1]?.stderr).toBe('worldkeep: absent.glb: there is no such file\n');
    expect(runs[2]?.stdout).toContain('USAGE worldkeep import');
  });
});

describe('worldkeep asked for help exits with 0', () => {
  it.each<[string[], string]>([
    [['help'], 'USAGE worldkeep <command>'],
    [['--help'], 'USAGE worldkeep <command>'],
    [['help', 'keys', 'create'], 'worldkeep keys create --tenant acme'],
    [['import', '--help'], 'worldkeep import plaza.glb --space plaza'],
  ])('%j', async (args, wanted) => {
    const { code, stdout, stderr } = await runHere(args);
    expect(stdout).toContain(wanted);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('--version', async () => {
    expect(await runHere(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe('a file that cannot be imported exits with 1 and says which and why', () => {
  it.each<[string, string, string]>([
    ['absent.glb', '', 'absent.glb: there is no such file'],
    ['.', '', '.: is a folder, not a file'],
    ['/dev/null', '', '/dev/null: is not a regular file'],
    ['empty.gltf', '', 'empty.gltf: is empty'],
    [
      'README.md',
      '# Words\n',
      'README.md: is text, but no scene that is known here: glTF (.glb, .gltf), a Hubs scene (.spoke), an export of worldkeep, or a backup',
    ],
    [
      'half.gltf',
      '{"asset":{"version":"2.0"},\n"nodes":[{',
      'half.gltf: is not valid JSON: line 2, column 11',
    ],
    [
      'node.gltf',
      '{"asset":{"version":"2.0"},"nodes":[{},{"name":"b","scale":[1]}]}',
      'node.gltf: node 1 "b": scale has 1 number where 3 are needed',
    ],
  ])('%s', async (file, content, sentence) => {
    if (content !== '' || file === 'empty.gltf') await writeFile(join(folder, file), content);
    const { code, stdout, stderr } = await runHere(['import', file, '--space', 's', '--json'], {
      env: NOWHERE,
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(stderr).toContain(`worldkeep: ${sentence}`);
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'invalid_scene', file });
  });
});

describe('where the server is', () => {
  it('a server that is not there exits with 1 and names it, never the key', async () => {
    const { code, stderr } = await runHere(['export', '--space', 's'], { env: NOWHERE });
    expect(code).toBe(1);
    expect(stderr).toContain('worldkeep: no answer from http://127.0.0.1:9:');
    expect(stderr).not.toContain('wk_t_secret');
  });

  it('is read from what the local stack wrote, in this folder or one above', async () => {
    const below = join(folder, 'a', 'b');
    await mkdir(below, { recursive: true });
    await mkdir(join(folder, 'a', '.worldkeep'));
    const file = join(folder, 'a', '.worldkeep', 'dev.json');
    await writeFile(file, JSON.stringify({ url: 'http://127.0.0.1:9/', apiKey: 'wk_t_local' }));
    expect((await runHere(['export', '--space', 's'], { cwd: below })).stderr).toContain(
      'no answer from http://127.0.0.1:9:',
    );
    await writeFile(file, '{"url":');
    const { code, stderr } = await runHere(['export', '--space', 's'], { cwd: below });
    expect(code).toBe(2);
    expect(stderr).toContain('dev.json is not the JSON object that npm run dev writes');
  });

  it('a database that is not there, said without its password', async () => {
    const env = { DATABASE_URL: 'postgresql://me:hush@127.0.0.1:9/db' };
    const { code, stderr } = await runHere(['keys', 'create', '--tenant', 't', '--scopes', 'read'], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('Postgres cannot be reached at the host and port in DATABASE_URL');
    expect(stderr).not.toContain('hush');
  });
});
