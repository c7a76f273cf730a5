import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNode } from './http/node-target.ts';
import { OVER_TCP } from './http/runtimes.ts';
import { stack, uniqueName } from './support.ts';
import { makeTenant } from './tenants.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const NPM_INSTALL = ['install', '--no-audit', '--no-fund'];
const INSTALL_MS = 300_000;
const VERSIONS = ['20.19.0', '22', '24'];

/** A TypeScript program that uses the main classes. */
const PROGRAM = `
  import { AppError, BatchProcessor, type BatchResult, CacheManager, PersistenceLayer, type WorldState } from 'worldkeep';
  const persistence = new PersistenceLayer({ databaseUrl: 'postgresql://127.0.0.1/world', tenantId: 'demo' });
  const batches = new BatchProcessor(persistence, new CacheManager({ port: '6379' }), { deadLetterRetentionDays: 7 });
  export async function move(): Promise<BatchResult> {
    const { objects }: WorldState = await persistence.loadWorldState('main');
    if (objects[0] === undefined) throw new AppError('not_found', 'The world is empty.');
    return batches.add('objectUpdates', { objectId: objects[0].id, position: { x: 1 } });
  }
`;
/** A TypeScript program for the client and its hooks, and one that mounts the API in a Worker. */
const CLIENT_PROGRAM = `
  import { connect, type Durability, type LiveObject, type World, WorldkeepError } from 'worldkeep/client';
  import { useChat, useObject, useObjectIds, WorldProvider } from 'worldkeep/react';
  const world: World = connect({ url: 'https://worlds.example', space: 'main', token: async () => 'token' });
  world.objects.on('change', (object: LiveObject, before) => console.log(object.position.x - before.position.x));
  export async function move(): Promise<Durability> {
    const sent = world.patch('chair', { position: { x: 1 }, properties: { color: null } });
    return (await sent.reached('committed').catch((error: WorldkeepError) => { throw error; })).durability;
  }
  function Item({ id }: { id: string }) {
    return <li>{useObject(id)?.name ?? id}</li>;
  }
  function Panel() {
    const { messages, say } = useChat();
    return <button onClick={() => say('Hello')}>{messages.at(-1)?.text}{useObjectIds().map((id) => <Item key={id} id={id} />)}</button>;
  }
  export const App = () => <WorldProvider world={world}><Panel /></WorldProvider>;
`;
const WORKER_PROGRAM = `
  import worldkeep from 'worldkeep/worker';
  interface Env { DATABASE_URL: string; SPACE: string }
  export default {
    fetch: (request: Request, env: Env, context: { waitUntil(work: Promise<unknown>): void }) => worldkeep.fetch(request, env, context),
  };
`;
/** The types that programs of each runtime have. Only the first runtime has the types of a browser. */
const RUNTIMES = {
  'a browser': { lib: ['es2023', 'dom'], types: [] },
  Node: { lib: ['es2023'], types: ['node'] },
  Workers: { lib: ['es2023'], types: ['@cloudflare/workers-types'] },
};
/** Connects, puts an object and prints its durability. */
const CLIENT = `
  import { connect } from 'worldkeep/client';
  const [url, token] = process.argv.slice(2);
  const world = connect({ url, space: 'main', token });
  await world.ready;
  const sent = await world.put('chair', { name: 'Chair' }).reached('committed');
  console.log(JSON.stringify({ durability: sent.durability, name: world.objects.get('chair').name, left: await world.close() }));
`;
/** Saves an object and moves it through the log. Prints how each module system sees the package, and the object. */
const SERVER = `
  import { createRequire } from 'node:module';
  import * as imported from 'worldkeep';
  const required = createRequire(import.meta.url)('worldkeep');
  const [databaseUrl, redisUrl, tenantId] = process.argv.slice(2);
  const { hostname: host, port, password } = new URL(redisUrl);
  const persistence = new imported.PersistenceLayer({ databaseUrl, tenantId });
  const cache = new imported.CacheManager({ host, port, password: decodeURIComponent(password), tenantId });
  const batches = new imported.BatchProcessor(persistence, cache);
  await persistence.connect();
  await persistence.saveObject({ id: 'chair' });
  batches.add('objectUpdates', { objectId: 'chair', position: { x: 4 } });
  await batches.shutdown();
  const { objects } = await persistence.loadWorldState();
  await Promise.all([cache.disconnect(), persistence.disconnect()]);
  console.log(JSON.stringify({ same: required.PersistenceLayer === imported.PersistenceLayer, x: objects[0].position.x }));
`;

/** Saves an object in memory, and prints the world or the error. It ends by itself. */
const MEMORY_SERVER = `
  import { BatchProcessor, CacheManager, PersistenceLayer } from 'worldkeep';
  const persistence = new PersistenceLayer({ enabled: false });
  const cache = new CacheManager({ enabled: false });
  const batches = new BatchProcessor(persistence, cache, { enabled: false });
  try {
    await persistence.connect();
    await cache.setUserSession('ann', {});
    const { durability } = await batches.add('objectSaves', { objectId: 'chair' });
    const { objects } = await persistence.loadWorldState();
    console.log(durability, objects.map(({ id }) => id));
  } catch (error) {
    console.log(error.message);
  }
  await batches.shutdown();
  await cache.disconnect();
  await persistence.disconnect();
  await persistence.connect().catch(({ code }) => console.log(code));
`;

describe('the package, packed and installed in an empty project', () => {
  let folder: string;
  let project: string;
  let packedPath: string;
  const run = async (program: string, args: readonly string[], { node = '', cwd = project } = {}) =>
    promisify(execFile)(program, args, {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, PATH: [node, process.env.PATH].filter(Boolean).join(delimiter) },
    });
  /** @returns an empty project's folder */
  const makeProject = (name: string): string => {
    const path = join(folder, name);
    mkdirSync(path);
    writeFileSync(join(path, 'package.json'), '{"private": true, "type": "module"}');
    return path;
  };

  /** @returns the folder of its programs */
  const installNode = async (version: string): Promise<string> => {
    const path = join(folder, `node-${version}`);
    if (!existsSync(path))
      await run('npm', [...NPM_INSTALL, `node@${version}`], { cwd: makeProject(`node-${version}`) });
    return join(path, 'node_modules/node/bin');
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'worldkeep-package-'));
    project = makeProject('server');
    const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const [packed] = JSON.parse((await run('npm', pack, { cwd: PROJECT })).stdout);
    packedPath = join(folder, packed.filename);
    await run('npm', [...NPM_INSTALL, packedPath]);
    // Only the hooks need React, and only its users install it.
    expect(existsSync(join(project, 'node_modules/react'))).toBe(false);
    expect(existsSync(join(project, 'node_modules/@electric-sql'))).toBe(false);
    const { stdout } = await run('du', ['-sk', 'node_modules']);
    console.log(
      `the package: ${(packed.size / 1024).toFixed(0)} KiB packed, ${(packed.unpackedSize / 1024).toFixed(0)} KiB unpacked; node_modules ${Number.parseInt(stdout, 10)} KiB`,
    );
  }, INSTALL_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe.each(VERSIONS)('on Node %s', (version) => {
    let node: string;
    beforeAll(async () => {
      node = await installNode(version);
      expect((await run('node', ['--version'], { node })).stdout).toContain(`v${version}`);
    }, INSTALL_MS);

    it('keeps a world, imported and required', async () => {
      writeFileSync(join(project, 'server.js'), SERVER);
      const { databaseUrl, redisUrl } = stack();
      const { stdout } = await run('node', ['server.js', databaseUrl, redisUrl, uniqueName('t')], { node });
      expect(JSON.parse(stdout)).toEqual({ same: true, x: 4 });
    });

    it('has a client that needs no other package', async () => {
      const server = await startNode(OVER_TCP.makeEnv());
      try {
        const key = await (await makeTenant()).apiKey(['read', 'write']);
        const { host, port } = server.address;
        const url = `http://${host}:${port}`;
        const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
        await fetch(`${url}/v1/spaces/main`, { method: 'PUT', headers, body: '{"name":"Main"}' });
        writeFileSync(join(project, 'client.js'), CLIENT);
        const { stdout } = await run('node', ['client.js', url, key], { node });
        expect(JSON.parse(stdout)).toEqual({ durability: 'committed', name: 'Chair', left: 0 });
      } finally {
        await server.stop();
      }
    });

    it('has its command line, which knows its migrations', async () => {
      expect((await run('npx', ['worldkeep', '--help'], { node })).stdout).toContain(
        'USAGE worldkeep <command>',
      );
      const { databaseUrl: DATABASE_URL } = stack();
      const keys = ['worldkeep', 'keys', 'create', '--tenant', uniqueName('t'), '--scopes', 'read', '--json'];
      const made = await run('env', [`DATABASE_URL=${DATABASE_URL}`, 'npx', ...keys], { node });
      expect(JSON.parse(made.stdout)).toMatchObject({ scopes: ['read'] });
      const migrated = await run(
        'env',
        [`DATABASE_MIGRATION_URL=${stack().migrationUrl}`, 'npx', 'worldkeep', 'migrate', '--json'],
        { node },
      );
      expect(JSON.parse(migrated.stdout)).toEqual({ applied: 0 });
    });
  });

  it(
    '[F6d] keeps a world in memory, or names the package that it needs',
    async () => {
      const cwd = makeProject('memory');
      writeFileSync(join(cwd, 'server.js'), MEMORY_SERVER);
      await run('npm', [...NPM_INSTALL, packedPath], { cwd });
      const runAll = () =>
        Promise.all(
          VERSIONS.map(async (version) =>
            run('node', ['server.js'], { node: await installNode(version), cwd }),
          ),
        );
      for (const { stdout } of await runAll())
        expect(stdout).toMatch(/: run `npm install @electric-sql\/pglite`\.\n/);
      await run('npm', [...NPM_INSTALL, '@electric-sql/pglite'], { cwd });
      for (const printed of await runAll())
        expect(printed).toEqual({ stdout: "committed [ 'chair' ]\nstore_unavailable\n", stderr: '' });
    },
    INSTALL_MS,
  );

  describe('its types', () => {
    beforeAll(async () => {
      const types = ['@types/react@19', '@types/node@24', '@cloudflare/workers-types@4'];
      await run('npm', [...NPM_INSTALL, 'react@19', ...types]);
      writeFileSync(join(project, 'program.ts'), PROGRAM);
      writeFileSync(join(project, 'client.tsx'), CLIENT_PROGRAM);
      writeFileSync(join(project, 'worker.ts'), WORKER_PROGRAM);
    }, INSTALL_MS);

    it.each(
      Object.entries(RUNTIMES).flatMap(([runtime, { lib, types }]) =>
        ['nodenext', 'bundler'].map((resolution) => ({ runtime, resolution, lib, types })),
      ),
    )(
      'are accepted by TypeScript with the types of $runtime, resolved as $resolution',
      async ({ resolution, lib, types }) => {
        const compilerOptions = {
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
          target: 'es2022',
          lib,
          jsx: 'react-jsx',
          module: resolution === 'bundler' ? 'preserve' : resolution,
          moduleResolution: resolution,
          types,
        };
        const files = ['program.ts', 'client.tsx', 'worker.ts'];
        writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
        const tsc = join(PROJECT, 'node_modules/.bin/tsc');
        const { stdout, stderr } = await run(tsc, ['-p', '.']).catch((error) => error);
        expect(`${stdout}${stderr}`).toBe('');
      },
    );
  });
});

it(
  'a clone that was never installed can be installed in another project',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'worldkeep-clone-'));
    const run = promisify(execFile);
    try {
      await run('git', ['clone', '--quiet', PROJECT, join(folder, 'clone')]);
      const cwd = join(folder, 'server');
      mkdirSync(cwd);
      // As the README says. npm packs the clone, which builds it first.
      await run('npm', [...NPM_INSTALL, '--install-links', '../clone'], { cwd });
      for (const file of ['dist/index.js', 'dist/cli.js', 'dist/types/index.d.ts'])
        expect([file, existsSync(join(cwd, 'node_modules/worldkeep', file))]).toEqual([file, true]);
      const script = "console.log(typeof require('worldkeep').PersistenceLayer)";
      const { stdout } = await run('node', ['-e', script], { cwd });
      expect(stdout).toBe('function\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  2 * INSTALL_MS,
);
