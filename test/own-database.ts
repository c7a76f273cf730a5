import pg from 'pg';
import { migrate } from '../drizzle/migrate.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { openPg } from '../src/postgres/pg.ts';
import { stack, uniqueName } from './support.ts';

/** A database for one test file: a job of the whole deployment would change rows of other tests. */
export interface OwnDatabase {
  /** A URL for the runtime role. */
  url: string;
  /** A URL for a superuser. */
  superuserUrl: string;
  postgres: Postgres;
  /** A superuser, who sees and changes every row. */
  admin: pg.Client;
  close(): Promise<void>;
}

export async function openOwnDatabase(): Promise<OwnDatabase> {
  const name = uniqueName('own').replaceAll('-', '_');
  const within = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  const { superuserUrl, migrationUrl, databaseUrl } = stack();
  const owner = new pg.Client({ connectionString: migrationUrl });
  await owner.connect();
  await owner.query(`CREATE DATABASE ${name}`);
  await owner.end();
  await migrate({ migrationUrl: within(migrationUrl) });
  const admin = new pg.Client({ connectionString: within(superuserUrl) });
  await admin.connect();
  const postgres = openPg({ databaseUrl: within(databaseUrl), poolSizeMax: 3, timeoutMs: 20_000 });
  return {
    url: within(databaseUrl),
    superuserUrl: within(superuserUrl),
    postgres,
    admin,
    async close() {
      await Promise.all([postgres.close(), admin.end()]);
      const superuser = new pg.Client({ connectionString: superuserUrl });
      await superuser.connect();
      await superuser.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await superuser.end();
    },
  };
}
