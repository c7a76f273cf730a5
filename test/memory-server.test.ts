import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');
/** The parts of the package that a server with worlds in memory loads. */
const SHIPPED = ['package.json', 'dist/index.js', 'dist/chunks', 'drizzle/migrations'];
const PROGRAM = `
  import { BatchProcessor, CacheManager, Config, PersistenceLayer } from 'worldkeep';
  const { persistenceEnabled, cacheEnabled, batchProcessingEnabled, database } = Config.parse(process.env);
  const persistence = new PersistenceLayer({ enabled: persistenceEnabled, databaseUrl: database?.url });
  const cache = new CacheManager({ enabled: cacheEnabled });
  const batches = new BatchProcessor(persistence, cache, { enabled: batchProcessingEnabled });
  const failures = [];
  for (const work of [() => persistence.connect(), () => batches.add('objectSaves', { objectId: 'chair' })])
    await work().catch(({ code, message }) => failures.push({ code, message }));
  await batches.shutdown();
  await cache.disconnect();
  await persistence.disconnect();
  console.log(JSON.stringify(failures));
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'worldkeep-memory-'));
  const packages = join(folder, 'node_modules');
  for (const path of SHIPPED)
    cpSync(join(PROJECT, path), join(packages, 'worldkeep', path), { recursive: true });
  mkdirSync(packages, { recursive: true });
  for (const name of ['ioredis', 'pg'])
    symlinkSync(join(PROJECT, 'node_modules', name), join(packages, name));
  writeFileSync(join(folder, 'server.mjs'), PROGRAM);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** test/package.proof.ts runs such a server with the package. */
it('[F6d] names the package that a server with worlds in memory lacks, and ends by itself', async () => {
  const env = { PATH: process.env.PATH, PERSISTENCE_ENABLED: 'false' };
  const { stdout } = await promisify(execFile)(process.execPath, ['server.mjs'], { cwd: folder, env });
  const message =
    'A PersistenceLayer with enabled: false needs PGlite: run `npm install @electric-sql/pglite`.';
  const failure = { code: 'misconfigured', message };
  expect(JSON.parse(stdout)).toEqual([failure, failure]);
});
