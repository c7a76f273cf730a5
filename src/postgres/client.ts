import { sql } from 'drizzle-orm';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';

/** Where queries are built; it runs none itself. */
export type Database = PgDatabase<PgQueryResultHKT, Record<string, never>>;

/** `write`: READ COMMITTED. `snapshot`: REPEATABLE READ, read only: every query sees the same moment. */
export type TransactionMode = 'write' | 'snapshot';

/** The results of a list of queries, in the same order. */
export type Results<Queries extends readonly PromiseLike<unknown>[]> = {
  -readonly [Index in keyof Queries]: Awaited<Queries[Index]>;
};

/** The caller of a transaction, for the audit. An actor is a person or a key. */
export interface Caller {
  actor: string | null;
  requestId: string | null;
}

export const NO_CALLER: Caller = { actor: null, requestId: null };

/** A connection to Postgres. Every error is an AppError: `store_unavailable`, `validation_failed`, … */
export interface Postgres {
  /**
   * Runs the queries as ONE transaction of one tenant, in one round trip where the driver can: all of them or none.
   * Row security shows them that tenant's rows and no others.
   */
  inTenant<const Queries extends readonly PromiseLike<unknown>[]>(
    tenantId: string,
    build: (db: Database) => Queries,
    mode?: TransactionMode,
  ): Promise<Results<Queries>>;
  /** Resolves when the database answers, is migrated and lets the role read. @throws store_unavailable */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Reads no row, so it costs the same however much there is. */
export async function ping(postgres: Pick<Postgres, 'inTenant'>): Promise<void> {
  await postgres.inTenant('', (db) => [db.execute(sql`SELECT FROM spaces LIMIT 0`)], 'snapshot');
}
