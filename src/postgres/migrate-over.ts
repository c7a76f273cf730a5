import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator';
import type pg from 'pg';
import { SELECT_SESSION_SETTINGS } from './settings.ts';

/** Held while migrating, so that two processes migrate one after the other ("worldkeep" in ASCII). */
const ADVISORY_LOCK = '8606216609143481712';

/**
 * Brings a database to the newest schema in one transaction, over an open connection of its owner. @returns how many migrations were
 * applied
 */
export async function migrateOver(client: pg.Client, migrationsFolder: string): Promise<number> {
  await client.query(SELECT_SESSION_SETTINGS);
  await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
  // Notices only name what exists already.
  await client.query('set client_min_messages = warning');
  const db = drizzle({ client });
  const before = await readApplied(db);
  refuseOther(before, migrationsFolder);
  await applyMigrations(db, { migrationsFolder });
  return (await readApplied(db)).length - before.length;
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
