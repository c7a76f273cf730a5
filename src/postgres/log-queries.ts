import type { Database, Postgres } from './client.ts';

/** One transaction: its statements in order, with placeholders in place of values. */
export interface QueryEvent {
  tenantId: string;
  /** Of the whole transaction, with its round trips. */
  ms: number;
  /** Rows are those returned, or changed where none are returned; null where the transaction failed. */
  statements: { sql: string; rows: number | null }[];
  failed: boolean;
}

/** Characters of a statement in a line. */
const SQL_LENGTH_MAX = 500;

/** Reports every transaction of `postgres`. A driver may run the statements in one round trip, so only their sum has a time. */
export function logQueries(
  postgres: Postgres,
  { now, onQuery }: { now: () => number; onQuery: (event: QueryEvent) => void },
): Postgres {
  const logged: Postgres = {
    ...postgres,
    async inTenant(tenantId, build, mode) {
      let queries: readonly unknown[] = [];
      const startedMs = now();
      const report = (results: readonly unknown[] | null) =>
        onQuery({
          tenantId,
          ms: now() - startedMs,
          statements: queries.map((query, i) => ({
            sql: describeQuery(query),
            rows: results === null ? null : countRows(results[i]),
          })),
          failed: results === null,
        });
      try {
        const results = await postgres.inTenant(
          tenantId,
          (db: Database) => {
            const built = build(db);
            queries = built;
            return built;
          },
          mode,
        );
        report(results as readonly unknown[]);
        return results;
      } catch (error) {
        report(null);
        throw error;
      }
    },
    ping: () => postgres.ping.call(logged),
  };
  return logged;
}

/** A statement as drizzle prints it: builders have `toSQL`, `execute` gives a raw query. */
function describeQuery(query: unknown): string {
  const { toSQL, getQuery } = query as { toSQL?: () => { sql: string }; getQuery?: () => { sql: string } };
  const text = (toSQL?.call(query) ?? getQuery?.call(query))?.sql ?? '';
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, SQL_LENGTH_MAX);
}

function countRows(result: unknown): number {
  if (Array.isArray(result)) return result.length;
  const { rows, rowCount } = result as { rows?: unknown[]; rowCount?: number | null };
  return rows !== undefined && rows.length > 0 ? rows.length : (rowCount ?? 0);
}
