import pg from 'pg';
import type { Faults } from './faults.ts';
import {
  type EmulatorReply,
  type EmulatorRequest,
  FRONT_BODY_BYTES_MAX,
  type HttpEmulator,
  startHttpEmulator,
} from './http.ts';
import { buildErrorReply, explainConnectError, NeonError } from './neon-errors.ts';
import { Exchange, type Statement, type StatementResult } from './neon-exchange.ts';
import { type NeonQuery, type NeonRequest, readNeonRequest } from './neon-request.ts';

export interface NeonEmulatorOptions {
  /** Of the Postgres on 127.0.0.1 that every request goes to, whatever host its connection string names. */
  postgresPort: number;
  /** 0 takes any free port. */
  port: number;
  faults?: Faults;
}

export interface NeonEmulator extends HttpEmulator {
  /** The value for `neonConfig.fetchEndpoint`: `http://127.0.0.1:PORT/sql`. */
  sqlUrl: string;
}

const CONNECTIONS_MAX = 20;
const POOLS_MAX = 16;
const IDLE_MS = 10_000;
const REPLY_BYTES_MAX = 10 * 1024 * 1024;

/**
 * DISCARD ALL without its DISCARD PLANS. A pooled session of Neon keeps the plans of its functions too. Making them again for every
 * request was a fifth of Postgres's time for a batch of 100 rows.
 */
const RESET_SESSION = `
  CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
  SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES`;

/** Serves Neon's SQL over HTTP on 127.0.0.1 for `@neondatabase/serverless`, before a Postgres of this machine. */
export async function startNeonEmulator(options: NeonEmulatorOptions): Promise<NeonEmulator> {
  const pools = new Pools(options.postgresPort);
  const emulator = await startHttpEmulator({
    port: options.port,
    faults: options.faults,
    bodyBytesMax: FRONT_BODY_BYTES_MAX,
    replyTooLarge: () =>
      buildErrorReply(new NeonError(413, `request is too large (max is ${FRONT_BODY_BYTES_MAX} bytes)`)),
    handle: (request) => answer(pools, request),
  });
  return {
    ...emulator,
    sqlUrl: `${emulator.url}/sql`,
    close: async () => {
      await emulator.close();
      await pools.close();
    },
  };
}

async function answer(pools: Pools, request: EmulatorRequest): Promise<EmulatorReply> {
  if (request.path !== '/sql') return { status: 404 };
  if (request.method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
  try {
    const parsed = readNeonRequest(request.headers, request.body);
    const body = JSON.stringify(await run(pools, parsed, request.signal));
    if (Buffer.byteLength(body) > REPLY_BYTES_MAX) throw replyTooLarge();
    return { status: 200, headers: { 'content-type': 'application/json' }, body };
  } catch (error) {
    if (error instanceof NeonError || error instanceof pg.DatabaseError) return buildErrorReply(error);
    throw error;
  }
}

async function run(pools: Pools, request: NeonRequest, signal: AbortSignal): Promise<unknown> {
  const pool = pools.get(request.connection);
  const client = await pool.connect().catch((error: unknown) => {
    throw explainConnectError(error, request.connection.user);
  });
  pools.busy.add(client);
  let isClean = false;
  let isCancelled = false;
  // As on Neon, a client that goes away takes its query with it.
  const cancel = () => {
    isCancelled = true;
    pools.cancel(pool, client);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const { queries, begin } = request;
    const results = await exchange(
      client,
      begin === null ? queries : [{ text: begin, params: [] }, ...queries],
    );
    // Behind the results, not with them: a reply that is too large is rolled back.
    if (begin !== null) await exchange(client, [{ text: 'COMMIT', params: [] }]);
    isClean = client.getTransactionStatus() === 'I';
    if (begin === null) return formatResult(results[0], queries[0]);
    return { results: queries.map((query, index) => formatResult(results[index + 1], query)) };
  } finally {
    signal.removeEventListener('abort', cancel);
    pools.busy.delete(client);
    if (isCancelled) client.release(true);
    else void reset(client, isClean);
  }
}

async function exchange(client: pg.PoolClient, statements: readonly Statement[]): Promise<StatementResult[]> {
  const exchanged = new Exchange(statements, REPLY_BYTES_MAX);
  client.query(exchanged);
  const outcome = await exchanged.outcome;
  if ('error' in outcome) {
    if (outcome.error instanceof pg.DatabaseError) throw outcome.error;
    // The connection ended under the query: whether it was run to its end, nobody knows.
    throw new NeonError(400, 'connection closed');
  }
  if ('tooLarge' in outcome) throw replyTooLarge();
  return outcome.results;
}

/** The next request finds a session as new; a connection that cannot be brought there is not used again. */
async function reset(client: pg.PoolClient, isClean: boolean): Promise<void> {
  try {
    if (!isClean) await client.query('ROLLBACK');
    await client.query(RESET_SESSION);
    client.release();
  } catch {
    client.release(true);
  }
}

function formatResult(result: StatementResult | undefined, query: NeonQuery | undefined): unknown {
  const { fields, rows, tag } = result ?? { fields: [], rows: [], tag: '' };
  const rowAsArray = query?.arrayMode ?? false;
  const [command, ...counts] = tag.split(' ');
  // INSERT prints an oid before its count.
  const rowCount = Number.parseInt(counts[command === 'INSERT' ? 1 : 0] ?? '', 10);
  return {
    rowAsArray,
    fields: fields.map(({ name, dataTypeID, tableID, columnID, dataTypeSize, dataTypeModifier }) => ({
      name,
      dataTypeID,
      tableID,
      columnID,
      dataTypeSize,
      dataTypeModifier,
      format: 'text',
    })),
    rows: rowAsArray
      ? rows
      : rows.map((row) => Object.fromEntries(fields.map((field, index) => [field.name, row[index]]))),
    command,
    rowCount: Number.isNaN(rowCount) ? null : rowCount,
  };
}

function replyTooLarge(): NeonError {
  return new NeonError(507, `response is too large (max is ${REPLY_BYTES_MAX} bytes)`);
}

/** A small pool for each user and database; the one not used for longest goes where there are too many. */
class Pools {
  /** Connections with a running query. */
  readonly busy = new Set<pg.PoolClient>();
  #pools = new Map<string, pg.Pool>();
  #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  get(connection: NeonRequest['connection']): pg.Pool {
    const key = JSON.stringify(connection);
    const pool = this.#pools.get(key) ?? this.#create(connection);
    this.#pools.delete(key);
    this.#pools.set(key, pool);
    for (const [oldest, unused] of this.#pools) {
      if (this.#pools.size <= POOLS_MAX) break;
      this.#pools.delete(oldest);
      void unused.end();
    }
    return pool;
  }

  /** Asks Postgres to end what the client is running; its answer then settles the query. */
  cancel(pool: pg.Pool, client: pg.PoolClient): void {
    const { processID } = client as pg.PoolClient & { processID: number };
    pool.query('SELECT pg_cancel_backend($1)', [processID]).catch(() => undefined);
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    // Ended under their queries: closing waits for none.
    for (const client of this.busy) void client.end();
    await Promise.all(pools.map((pool) => pool.end()));
  }

  #create({ user, password, database, applicationName }: NeonRequest['connection']): pg.Pool {
    const pool = new pg.Pool({
      host: '127.0.0.1',
      port: this.#port,
      user,
      password,
      database,
      ...(applicationName === undefined ? {} : { application_name: applicationName }),
      max: CONNECTIONS_MAX,
      idleTimeoutMillis: IDLE_MS,
      connectionTimeoutMillis: 10_000,
    });
    // A connection that ends is replaced when the next is needed; a query under way settles by itself.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    return pool;
  }
}
