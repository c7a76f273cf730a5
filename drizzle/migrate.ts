import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { countOf } from '../src/helpers/counts.ts';
import { migrateOver } from '../src/postgres/migrate-over.ts';

/** A server that is not Postgres may accept a connection and stay silent. */
const CONNECT_MS_MAX = 15_000;

export interface MigrateOptions {
  /** As the owner of the database, over TCP: postgresql://owner:…@host/database */
  migrationUrl: string;
  /** As worldkeep_app: if given, that role may then log in with the password in it. */
  appUrl?: string | undefined;
  log?: ((line: string) => void) | undefined;
  /** The folder of the migrations, if it is not next to this file. */
  migrationsFolder?: string;
}

/** The folder of the migrations, in this repository. */
export const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));

/**
 * Brings a database to the newest schema in one transaction: all missing migrations, or none. Running it twice, or in two processes
 * at the same time, is harmless. @returns how many migrations were applied.
 */
export async function migrate({
  migrationUrl,
  appUrl,
  log = () => {},
  migrationsFolder = MIGRATIONS,
}: MigrateOptions): Promise<number> {
  const client = new pg.Client({
    connectionString: migrationUrl,
    application_name: 'worldkeep-migrate',
    connectionTimeoutMillis: CONNECT_MS_MAX,
  });
  // A connection that breaks fails the statement under way. Without a listener it would end the process too.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const applied = await migrateOver(client, migrationsFolder);
    log(applied === 0 ? 'database: up to date' : `database: applied ${countOf(applied, 'migration')}`);
    if (appUrl !== undefined) await letAppLogIn(client, appUrl, log);
    return applied;
  } finally {
    await client.end();
  }
}

/** The runtime role has no password until somebody gives it one: no migration holds a secret. */
async function letAppLogIn(client: pg.Client, appUrl: string, log: (line: string) => void): Promise<void> {
  const { username, password } = new URL(appUrl);
  if (decodeURIComponent(username) !== 'worldkeep_app') {
    log(
      `database: DATABASE_URL names the role ${decodeURIComponent(username)}, not worldkeep_app: left as it is`,
    );
    return;
  }
  if (password === '') return;
  // ALTER ROLE takes no parameters: the server quotes the password itself.
  const { rows } = await client.query<{ statement: string }>(
    `select format('ALTER ROLE worldkeep_app LOGIN PASSWORD %L', $1::text) as statement`,
    [decodeURIComponent(password)],
  );
  await client.query(rows[0]?.statement ?? '');
  log('database: worldkeep_app may log in with the password of DATABASE_URL');
}
