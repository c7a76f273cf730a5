import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openTestNeon, openTestPg } from '../../test/layers.ts';
import { stack } from '../../test/support.ts';
import type { AppError } from '../world/errors.ts';
import type { Postgres } from './client.ts';
import { openNeon } from './neon.ts';
import { openPg } from './pg.ts';

/** Both ways to Postgres, with an address of the caller's making. */
const WAYS: Record<string, (change: (url: URL) => void) => Postgres> = {
  'Neon over HTTP': (change) => {
    const [url, endpoint] = [new URL(stack().databaseUrl), new URL(stack().databaseHttpUrl)];
    change(url);
    if (url.hostname === 'localhost') endpoint.port = '9';
    return openNeon({ databaseUrl: url.href, fetchEndpoint: endpoint.href, timeoutMs: 5_000 });
  },
  'pg over TCP': (change) => {
    const url = new URL(stack().databaseUrl);
    change(url);
    if (url.hostname === 'localhost') url.port = '9';
    return openPg({ databaseUrl: url.href, poolSizeMax: 1, timeoutMs: 5_000 });
  },
};

async function fail(postgres: Postgres, query = 'select 1'): Promise<Partial<AppError>> {
  const error = await postgres
    .inTenant('t', (db) => [db.execute(query)])
    .then(
      () => new Error('nothing failed'),
      (thrown: unknown) => thrown,
    );
  await postgres.close();
  return error as Partial<AppError>;
}

async function codeOf(postgres: Postgres, query?: string): Promise<unknown> {
  return (await fail(postgres, query)).code;
}

describe.each(Object.entries(WAYS))('what fails on %s', (name, open) => {
  const openPlain = name === 'pg over TCP' ? openTestPg : openTestNeon;

  it('is unavailable where nothing answers', async () => {
    const away = open((url) => {
      url.hostname = 'localhost';
    });
    expect(await codeOf(away)).toBe('store_unavailable');
  });

  it('names the variable and what an operator has to change, and no secret', async () => {
    for (const [cause, change] of [
      ['the password in DATABASE_URL', { password: 'hunter2' }],
      ['the password in DATABASE_URL', { username: 'hunter2' }],
      ['database that DATABASE_URL names does not exist', { pathname: '/hunter2' }],
    ] as const) {
      const error = await fail(open((url) => void Object.assign(url, change)));
      expect(error).toMatchObject({ code: 'store_unavailable', needsOperator: true });
      expect(error.message).toContain(cause);
      expect(error.message).not.toContain('hunter2');
    }
    for (const [cause, query] of [
      ['is not migrated', 'select * from not_migrated'],
      ['is not migrated', 'select no_function()'],
      ['lacks a right', 'truncate world_objects'],
      ['is read-only', 'set transaction read only; insert into tenants values (1)'],
    ] as const) {
      if (query.includes(';') && name !== 'pg over TCP') continue;
      const error = await fail(openPlain(), query);
      expect(error).toMatchObject({ code: 'store_unavailable', needsOperator: true });
      expect(error.message).toContain(cause);
    }
  });

  it('is store_unavailable if a retry may help, validation_failed for bad input, else internal', async () => {
    const raise = (state: string) => `do $$ begin raise sqlstate '${state}'; end $$`;
    for (const state of ['57P01', '53300', '40001', '55P03', '08006'])
      expect(await codeOf(openPlain(), raise(state)), state).toBe('store_unavailable');
    for (const state of ['22003', '23514', '54000'])
      expect(await codeOf(openPlain(), raise(state)), state).toBe('validation_failed');
    expect(await codeOf(openPlain(), raise('42601'))).toBe('internal');
  });

  it('does not tell the caller the words of the database', async () => {
    const postgres = openPlain();
    const failing = postgres.inTenant('t', (db) => [db.execute("select 'my secret'::int")]);
    await expect(failing).rejects.toSatisfy(
      (error: Error) => !JSON.stringify({ ...error, message: error.message, cause: null }).includes('secret'),
    );
    await postgres.close();
  });
});

it('leaves no connection open over TCP where the password is missing', async () => {
  const url = new URL(stack().databaseUrl);
  const port = Number(url.port);
  const server = createServer((client) => {
    const store = connect(port, '127.0.0.1');
    client.on('error', () => store.destroy()).pipe(store);
    store.on('error', () => client.destroy()).pipe(client);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  Object.assign(url, { password: '', port: String((server.address() as AddressInfo).port) });
  const postgres = openPg({ databaseUrl: url.href, poolSizeMax: 1, timeoutMs: 5_000 });
  for (let i = 0; i < 3; i++) await expect(postgres.ping()).rejects.toMatchObject({ needsOperator: true });
  const countOpen = () =>
    new Promise((resolve) => server.getConnections((_, connections) => resolve(connections)));
  await expect.poll(countOpen).toBe(0);
  await postgres.close();
  server.close();
});
