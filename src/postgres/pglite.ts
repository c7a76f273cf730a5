import pg from 'pg';
import { AppError } from '../world/errors.ts';
import { type Caller, NO_CALLER, type Postgres, ping } from './client.ts';
import { toAppError } from './errors.ts';
import { beginAs, runTransaction } from './pg.ts';

/** No other process waits for a lock of this database, so a statement may take as long as it takes. */
const NO_TIMEOUT_MS = 0;

/** An import of a package, or of a part of it, that is not installed. */
const NOT_INSTALLED = ['ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'];

export interface PgliteOptions {
  /** Finds the folder of the migrations. */
  findMigrations: () => Promise<string>;
  /** The caller of now, for the audit. By default nobody. */
  readCaller?: () => Caller;
}

interface Opened {
  client: pg.Client;
  close: () => Promise<void>;
}

/**
 * A Postgres in the memory of this process, for Node: PGlite, which is Postgres in WebAssembly. The first call loads it, and creates its
 * tables. It is empty then. It has one connection, so its transactions run one after the other.
 */
export function openPglite(options: PgliteOptions): Postgres {
  let opening: Promise<Opened> | null = null;
  let isClosed = false;
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  }

  return {
    inTenant(tenantId, build, mode = 'write') {
      const caller = options.readCaller?.() ?? NO_CALLER;
      return inTurn(async () => {
        if (isClosed) throw new AppError('store_unavailable', 'The worlds in memory have been closed.');
        try {
          opening ??= open(options);
          const { client } = await opening;
          // Each query's own rows, in their order: pg knows their type no more than any.
          return (await transact(client, beginAs(tenantId, mode, NO_TIMEOUT_MS, caller), build)) as never;
        } catch (error) {
          throw toAppError(error, mode);
        }
      });
    },
    ping() {
      return ping(this);
    },
    close() {
      return inTurn(async () => {
        isClosed = true;
        const opened = await opening?.catch(() => null);
        opening = null;
        await opened?.close();
      });
    },
  };
}

/** As the runtime role, so that row security holds. */
async function open({ findMigrations }: PgliteOptions): Promise<Opened> {
  const { PGlite, createPgConfig } = await loadPglite();
  // Loaded here: no other server needs the migrator.
  const { migrateOver } = await import('./migrate-over.ts');
  const database = await PGlite.create();
  const config = createPgConfig(database);
  const { connection } = config;
  const parse = connection.parse.bind(connection);
  // Drizzle's `types` are readers of results. This connection takes them for the types of parameters, and throws.
  connection.parse = (query: object) => parse({ ...query, types: undefined });
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  const close = async () => {
    await client.end();
    await database.close();
  };
  try {
    await client.connect();
    await migrateOver(client, await findMigrations());
    await client.query('set session authorization worldkeep_app');
    return { client, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws misconfigured without the package: only servers with worlds in memory install it. */
async function loadPglite() {
  try {
    const [{ PGlite }, { createPgConfig }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('@electric-sql/pglite/node-postgres'),
    ]);
    return { PGlite, createPgConfig };
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && NOT_INSTALLED.includes(String(cause.code))))
      throw cause;
    throw new AppError(
      'misconfigured',
      'A PersistenceLayer with enabled: false needs PGlite: run `npm install @electric-sql/pglite`.',
      { cause },
    );
  }
}

/** There is no other connection to go on with, so the transaction ends here, whatever failed. */
async function transact(
  client: pg.Client,
  begin: string,
  build: Parameters<typeof runTransaction>[2],
): Promise<unknown[]> {
  try {
    return await runTransaction(client, begin, build);
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
