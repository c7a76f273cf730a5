import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { countOf } from '../src/helpers/counts.ts';
import { SELECT_SESSION_SETTINGS } from '../src/postgres/settings.ts';

/** A server that is not Postgres may accept a connection and stay silent. */
const CONNECT_MS_MAX = 15_000;
/** Held while migrating, so that two processes migrate one after the other ("worldkeep" in ASCII). */
const ADVISORY_LOCK = '8606216609143481712';

export interface MigrateOptions {
  /** As the owner of the database, over TCP: postgresql://owner:…@host/database */
  migrationUrl: string;
  /** As worldkeep_app: if given, that role may then log in with the password in it. */
  appUrl?: string | undefined;
  log?: ((line: string) => void) | undefined;
  /** The folder of the migrations, if it is not next to this file. */
  migrationsFolder?: string;
}

const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));

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
    await client.query(SELECT_SESSION_SETTINGS);
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    // Notices only name what exists already.
    await client.query('set client_min_messages = warning');
    const db = drizzle({ client });
    const before = await readApplied(db);
    refuseOther(before, migrationsFolder);
    await applyMigrations(db, { migrationsFolder });
    const applied = (await readApplied(db)).length - before.length;
    log(applied === 0 ? 'database: up to date' : `database: applied ${countOf(applied, 'migration')}`);
    if (appUrl !== undefined) await letAppLogIn(client, appUrl, log);
    return applied;
  } finally {
    await client.end();
  }
}

/** @returns the hashes of the migrations that the database has run. */
async function readApplied(db: NodePgDatabase): Promise<string[]> {
  const { rows } = await db.execute<{ there: string | null }>(
    sql`select to_regclass('drizzle.__drizzle_migrations') as there`,
  );
  if (rows[0]?.there == null) return [];
  const applied = await db.execute<{ hash: string }>(sql`select hash from drizzle.__drizzle_migrations`);
  return applied.rows.map(({ hash }) => hash);
}

/** @throws where the database has run a migration that is none of these. */
function refuseOther(applied: readonly string[], migrationsFolder: string): void {
  const known = new Set(readMigrationFiles({ migrationsFolder }).map(({ hash }) => hash));
  const other = applied.find((hash) => !known.has(hash));
  if (other !== undefined)
    throw new Error(
      `Another version of worldkeep made this database (migration ${other.slice(0, 12)}): use an empty database, or, for \`npm run dev\`, remove the folder .worldkeep, which deletes the local world.`,
    );
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
