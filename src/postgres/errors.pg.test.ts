import { describe, expect, it } from 'vitest';
import { openTestNeon, openTestPg } from '../../test/layers.ts';
import { stack } from '../../test/support.ts';
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

async function codeOf(postgres: Postgres, query = 'select 1'): Promise<unknown> {
  const error = await postgres
    .inTenant('t', (db) => [db.execute(query)])
    .then(
      () => new Error('nothing failed'),
      (thrown: unknown) => thrown,
    );
  await postgres.close();
  return (error as { code?: unknown }).code;
}

describe.each(Object.entries(WAYS))('what fails on %s', (name, open) => {
  const openPlain = name === 'pg over TCP' ? openTestPg : openTestNeon;

  it('is unavailable where nothing answers', async () => {
    const away = open((url) => {
      url.hostname = 'localhost';
    });
    expect(await codeOf(away)).toBe('store_unavailable');
  });

  it('is a wrong configuration for a refused password, an unknown database and a missing table', async () => {
    const wrongPassword = open((url) => {
      url.password = 'wrong';
    });
    const noDatabase = open((url) => {
      url.pathname = '/nowhere';
    });
    expect(await codeOf(wrongPassword)).toBe('misconfigured');
    expect(await codeOf(noDatabase)).toBe('misconfigured');
    expect(await codeOf(openPlain(), 'select * from not_migrated')).toBe('misconfigured');
  });

  it('is unavailable for what a repeat may mend, bad input for what it cannot, and ours otherwise', async () => {
    const raise = (state: string) => `do $$ begin raise sqlstate '${state}'; end $$`;
    for (const state of ['57P01', '53300', '40001', '55P03', '08006'])
      expect(await codeOf(openPlain(), raise(state)), state).toBe('store_unavailable');
    for (const state of ['22003', '23514', '54000'])
      expect(await codeOf(openPlain(), raise(state)), state).toBe('validation_failed');
    expect(await codeOf(openPlain(), raise('42501'))).toBe('misconfigured');
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
