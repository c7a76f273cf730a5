import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database, Postgres, TransactionMode } from './client.ts';
import { hasSqlState, isRepeatable, toAppError } from './errors.ts';

const ATTEMPTS_MAX = 3;
const BEGIN = { write: 'begin', snapshot: 'begin isolation level repeatable read, read only' } as const;

/** Postgres over TCP, for Node: any Postgres serves. `poolSizeMax` connections at most. */
export function openPg({
  databaseUrl,
  poolSizeMax,
  timeoutMs,
}: {
  databaseUrl: string;
  poolSizeMax: number;
  /** Milliseconds that one statement may take, and the wait for a connection. */
  timeoutMs: number;
}): Postgres {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: poolSizeMax,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    keepAlive: true,
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);

  return {
    async inTenant(tenantId, build, mode = 'write') {
      for (let attempt = 1; ; attempt++) {
        try {
          // Each query's own rows, in their order: pg knows their type no more than any.
          return (await transact(pool, beginAs(tenantId, mode, timeoutMs), build)) as never;
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

/**
 * One transaction on a connection of its own. The connection goes back to the pool only if it is known to be outside of a
 * transaction; one that broke, or whose answer is still to come, is given up.
 */
async function transact(
  pool: pg.Pool,
  begin: string,
  build: (db: Database) => readonly PromiseLike<unknown>[],
): Promise<unknown[]> {
  const client = await pool.connect();
  let failure: Error | undefined;
  // While it is lent, the pool does not listen: without a listener a connection that breaks would end the process.
  const onError = (error: Error) => {
    failure = error;
  };
  client.on('error', onError);
  try {
    await client.query(begin);
    const results: unknown[] = [];
    for (const query of build(drizzle({ client }) as unknown as Database)) results.push(await query);
    await client.query('commit');
    return results;
  } catch (error) {
    if (hasSqlState(error)) await client.query('rollback').catch(onError);
    else onError(error as Error);
    throw error;
  } finally {
    client.off('error', onError);
    client.release(failure);
  }
}

/** In one round trip. The server gives up by itself too, so that no lock outlives a process that is gone. */
function beginAs(tenantId: string, mode: TransactionMode, timeoutMs: number): string {
  const settings = {
    'app.tenant_id': tenantId,
    statement_timeout: String(timeoutMs),
    idle_in_transaction_session_timeout: String(timeoutMs),
  };
  const set = Object.entries(settings).map(
    ([name, value]) => `set_config('${name}', ${pg.escapeLiteral(value)}, true)`,
  );
  return `${BEGIN[mode]}; select ${set.join(', ')}`;
}
