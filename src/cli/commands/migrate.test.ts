import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import pg from 'pg';
import { expect, it } from 'vitest';
import { stack, uniqueName } from '../../../test/support.ts';
import { readJournal } from '../doctor/journal.ts';
import { runHere } from '../testing/run-here.ts';

/** Makes an empty database. @returns its URL, as its owner */
async function makeDatabase(): Promise<string> {
  const name = uniqueName('db').replaceAll('-', '_');
  const owner = new pg.Client({ connectionString: stack().migrationUrl });
  await owner.connect();
  await owner.query(`create database ${name}`);
  await owner.end();
  const url = new URL(stack().migrationUrl);
  url.pathname = `/${name}`;
  return url.href;
}

it('applies every migration of the package once, and none the second time', async () => {
  const env = { DATABASE_MIGRATION_URL: await makeDatabase() };
  const { length } = await readJournal();
  const first = await runHere(['migrate', '--json'], { env });
  expect([first.code, JSON.parse(first.stdout)]).toEqual([0, { applied: length }]);
  expect(await runHere(['migrate'], { env })).toMatchObject({
    code: 0,
    stdout: 'the schema is the newest\n',
  });
});

it.each([
  [{}, 2, 'set DATABASE_MIGRATION_URL'],
  [{ DATABASE_MIGRATION_URL: 'mysql://me:hidden@db/world' }, 2, 'DATABASE_MIGRATION_URL must be an address'],
  [
    { DATABASE_MIGRATION_URL: 'postgresql://me:hidden@127.0.0.1:9/world' },
    1,
    'in DATABASE_MIGRATION_URL (ECONNREFUSED)',
  ],
])('names what is wrong without a password: %j', async (env, code, sentence) => {
  const run = await runHere(['migrate'], { env });
  expect(run).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(sentence) });
  expect(run.stderr).not.toContain('hidden');
});

it('names the variable where something else than Postgres listens', async () => {
  const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const { port } = other.address() as AddressInfo;
  const env = { DATABASE_MIGRATION_URL: `postgresql://me:hidden@127.0.0.1:${port}/world` };
  const run = await runHere(['migrate'], { env });
  other.close();
  expect(run).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the host and port in DATABASE_MIGRATION_URL ended the connection'),
  });
  expect(run.stderr).not.toContain('hidden');
});
