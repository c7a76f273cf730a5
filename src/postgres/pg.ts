import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database, Postgres } from './client.ts';
import { isRepeatable, toAppError } from './errors.ts';

const ATTEMPTS_MAX = 3;

/** Postgres over TCP, for Node: any Postgres serves. `poolSizeMax` connections at most. */
export function openPg({
  databaseUrl,
  poolSizeMax,
  timeoutMs,
}: {
  databaseUrl: string;
  poolSizeMax: number;
  timeoutMs: number;
}): Postgres {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: poolSizeMax,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  const db = drizzle({ client: pool });

  return {
    async inTenant(tenantId, build, mode = 'write') {
      const config =
        mode === 'snapshot' ? ({ isolationLevel: 'repeatable read', accessMode: 'read only' } as const) : {};
      for (let attempt = 1; ; attempt++) {
        try {
          return await db.transaction(async (transaction) => {
            await transaction.execute(sql`select set_config('app.tenant_id', ${tenantId}, true)`);
            const results: unknown[] = [];
            for (const query of build(transaction as unknown as Database)) results.push(await query);
            return results as never;
          }, config);
        } catch (error) {
          if (!isRepeatable(error) || attempt === ATTEMPTS_MAX) throw toAppError(error, mode);
        }
      }
    },
    async ping() {
      try {
        await pool.query('select 1');
      } catch (error) {
        throw toAppError(error);
      }
    },
    async close() {
      await pool.end();
    },
  };
}
