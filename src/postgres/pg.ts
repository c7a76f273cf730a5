import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { LIMITS } from '../world/limits.ts';
import {
  type Caller,
  type Database,
  NO_CALLER,
  type Postgres,
  ping,
  type TransactionMode,
} from './client.ts';
import { hasSqlState, isRepeatable, TooManyWaiting, toAppError } from './errors.ts';
import { listSettings } from './settings.ts';

const ATTEMPTS_MAX = 3;
/** Each in full: the database or the role may have other defaults. */
const BEGIN = {
  write: 'begin isolation level read committed, read write',
  snapshot: 'begin isolation level repeatable read, read only',
} as const;

/** Postgres over TCP, for Node: any Postgres serves. `poolSizeMax` connections at most. */
export function openPg({
  databaseUrl,
  poolSizeMax,
  timeoutMs,
  readCaller = () => NO_CALLER,
}: {
  databaseUrl: string;
  poolSizeMax: number;
  /** Milliseconds that one statement may take, and the wait for a connection. */
  timeoutMs: number;
  /** The caller of now, for the audit. By default nobody. */
  readCaller?: () => Caller;
}): Postgres {
  const pool = new pg.Pool({
    Client: ClosingClient,
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
      const begin = beginAs(tenantId, mode, timeoutMs, readCaller());
      for (let attempt = 1; ; attempt++) {
        try {
          // Each query's own rows, in their order: pg knows their type no more than any.
          return (await transact(pool, begin, build)) as never;
        } catch (error) {
          if (!isRepeatable(error) || attempt === ATTEMPTS_MAX) throw toAppError(error, mode);
        }
      }
    },
    ping() {
      return ping(this);
    },
    async close() {
      await pool.end();
    },
  };
}

/**
 * Ends a connection that failed to open. After a missing password the driver leaves it open, and Postgres waits a minute for the password.
 * A server that retries would use up its connections.
 */
class ClosingClient extends pg.Client {
  override connect(): Promise<pg.Client>;
  override connect(callback: (error: Error) => void): void;
  override connect(callback?: (error: Error) => void): unknown {
    if (callback === undefined) return super.connect();
    return super.connect((error: Error) => {
      if (error) this.end().catch(() => undefined);
      callback(error);
    });
  }
}

/**
 * One transaction on its own connection. The connection returns to the pool only if it is known to be outside of a transaction. A broken
 * one, or one with a pending answer, is closed.
 */
async function transact(
  pool: pg.Pool,
  begin: string,
  build: (db: Database) => readonly PromiseLike<unknown>[],
): Promise<unknown[]> {
  if (pool.waitingCount >= LIMITS.postgresWaitingMax) throw new TooManyWaiting();
  const client = await pool.connect();
  let failure: Error | undefined;
  // While it is lent, the pool does not listen: without a listener a connection that breaks would end the process.
  const onError = (error: Error) => {
    failure = error;
  };
  client.on('error', onError);
  try {
    return await runTransaction(client, begin, build);
  } catch (error) {
    if (hasSqlState(error)) await client.query('rollback').catch(onError);
    else onError(error as Error);
    throw error;
  } finally {
    client.off('error', onError);
    client.release(failure);
  }
}

/** Begins, runs the queries and commits. After an error the caller ends the transaction. */
export async function runTransaction(
  client: pg.ClientBase,
  begin: string,
  build: (db: Database) => readonly PromiseLike<unknown>[],
): Promise<unknown[]> {
  await client.query(begin);
  const results: unknown[] = [];
  for (const query of build(drizzle({ client: client as pg.Client }) as unknown as Database))
    results.push(await query);
  await client.query('commit');
  return results;
}

/** In one round trip. The server gives up by itself too, so that no lock outlives a process that is gone. */
export function beginAs(
  tenantId: string,
  mode: TransactionMode,
  timeoutMs: number,
  { actor, requestId }: Caller,
): string {
  const own = Object.entries({ tenant_id: tenantId, actor: actor ?? '', request_id: requestId ?? '' }).map(
    ([name, value]) => `pg_catalog.set_config('app.${name}', ${pg.escapeLiteral(value)}, true)`,
  );
  return `${BEGIN[mode]}; SELECT ${own.join(', ')}, ${listSettings(timeoutMs)}`;
}
