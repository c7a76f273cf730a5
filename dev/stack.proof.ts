import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { neon, neonConfig } from '@neondatabase/serverless';
import { Redis } from '@upstash/redis';
import pg from 'pg';
import { expect, it } from 'vitest';
import { readProcessStart } from './process.ts';
import { AlreadyRunning } from './run-lock.ts';
import { ANY_PORTS, makeTemporaryDir, type Stack, startStack, sweepTemporaryDirs } from './stack.ts';

const log = () => undefined;

function startKept(dir: string, ports = ANY_PORTS): Promise<Stack> {
  return startStack({ dir, ephemeral: false, ports, log });
}

function listPids(stack: Stack): number[] {
  return [stack.postgres.pid, stack.redis.pid].filter((pid) => readProcessStart(pid) !== null);
}

it('gives back after SIGKILL what it had answered, on the same ports', async () => {
  const dir = await makeTemporaryDir();
  const first = await startKept(dir);
  const connect = ({ values }: Stack) => {
    neonConfig.fetchEndpoint = () => values.databaseHttpUrl;
    const redis = new Redis({ url: values.redisRestUrl, token: values.redisRestToken });
    return { sql: neon(values.migrationUrl), redis };
  };
  const before = connect(first);
  await before.sql.transaction([
    before.sql`CREATE TABLE kept (n int)`,
    before.sql`INSERT INTO kept VALUES (7)`,
  ]);
  await before.redis.set('kept', 'yes');
  await expect(startKept(dir)).rejects.toThrow(AlreadyRunning);
  expect(statSync(join(dir, 'secrets.json')).mode & 0o777).toBe(0o600);
  await first.kill();
  expect(listPids(first)).toEqual([]);
  expect(await first.ended).toMatch(/^(Postgres|Redis) ended \(signal SIGKILL\)/);

  const second = await startKept(dir, first.ports);
  expect(second.values).toEqual(first.values);
  const after = connect(second);
  expect(await after.sql`SELECT n FROM kept`).toEqual([{ n: 7 }]);
  expect(await after.redis.get('kept')).toBe('yes');
  await Promise.all([second.stop(), second.stop()]);
  expect(listPids(second)).toEqual([]);
  expect(existsSync(join(dir, 'run.json'))).toBe(false);
  rmSync(dir, { recursive: true });
});

it('has an owner who is no superuser, may make roles, and bypasses row security, as on Neon', async () => {
  const stack = await startStack({ dir: await makeTemporaryDir(), ephemeral: true, ports: ANY_PORTS, log });
  const client = new pg.Client({ connectionString: stack.values.migrationUrl });
  await client.connect();
  const { rows } = await client.query(
    `SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, pg_get_userbyid(datdba) AS owner
     FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`,
  );
  await client.end();
  await stack.stop();
  const may = { rolsuper: false, rolcreaterole: true, rolcreatedb: true, rolbypassrls: true };
  expect(rows).toEqual([{ ...may, owner: 'worldkeep_owner' }]);
});

it('that is ephemeral keeps nothing; one whose owner died is removed by the next', async () => {
  const dir = await makeTemporaryDir();
  const stack = await startStack({ dir, ephemeral: true, durable: false, ports: ANY_PORTS, log });
  const record = JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'));
  expect(record.processes.map((it: { name: string }) => it.name).sort()).toEqual(['postgres', 'redis']);
  await sweepTemporaryDirs();
  expect(listPids(stack)).toHaveLength(2);
  writeFileSync(
    join(dir, 'run.json'),
    JSON.stringify({ ...record, owner: { ...record.owner, start: 'long ago' } }),
  );
  await sweepTemporaryDirs();
  expect(listPids(stack)).toEqual([]);
  expect(existsSync(dir)).toBe(false);
  // Its emulators, which nobody ended here, find their folder gone.
  await stack.stop().catch(() => undefined);
});

it('says what to do where its secrets are missing or damaged, and starts nothing', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'stack-test-'));
  writeFileSync(join(dir, 'secrets.json'), '{"ownerPassword":""}');
  await expect(startKept(dir)).rejects.toThrow(
    /secrets\.json is damaged \(superuserPassword, .*Restore the file/,
  );
  rmSync(join(dir, 'secrets.json'));
  writeFileSync(join(dir, 'postgres'), '');
  await expect(startKept(dir)).rejects.toThrow(/secrets\.json is missing/);
  expect(existsSync(join(dir, 'run.json'))).toBe(false);
  rmSync(dir, { recursive: true });
});
