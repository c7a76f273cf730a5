import { neon, neonConfig } from '@neondatabase/serverless';
import { sql } from 'drizzle-orm';
import { drizzle, type NeonHttpDatabase } from 'drizzle-orm/neon-http';
import {
  type Caller,
  type Database,
  NO_CALLER,
  type Postgres,
  ping,
  type TransactionMode,
} from './client.ts';
import { isReadOnly, isRepeatable, toAppError } from './errors.ts';
import { DATABASE_URL } from './refusals.ts';
import { listSettings } from './settings.ts';

export interface NeonOptions {
  /** As the runtime role: `postgresql://worldkeep_app:…@host/database`. */
  databaseUrl: string;
  /** Where Neon's `/sql` is answered, if not where Neon itself would: the local stack's address. */
  fetchEndpoint?: string | undefined;
  /** Milliseconds that one transaction may take, its round trip included. */
  timeoutMs: number;
  /** Headers of every request, in addition to the driver's own. */
  readHeaders?: (() => Record<string, string>) | undefined;
  /** The caller of now, for the audit. By default nobody. */
  readCaller?: (() => Caller) | undefined;
  /** Told of each transaction's statements, for figures. */
  onTransaction?: ((statements: number) => void) | undefined;
}

const ATTEMPTS_MAX = 3;
/** In full: the database or the role may have another default. */
const TRANSACTION = {
  write: { isolationLevel: 'ReadCommitted' },
  snapshot: { isolationLevel: 'RepeatableRead', readOnly: true },
} as const;

/** Postgres through Neon's HTTP interface: no connection outlives a request, so it serves on Workers. */
export function openNeon({
  databaseUrl,
  fetchEndpoint,
  timeoutMs,
  readHeaders,
  readCaller = () => NO_CALLER,
  onTransaction,
}: NeonOptions): Postgres {
  neonConfig.fetchFunction = fetchAsTold;
  const fetchOptions = (): OwnOptions => ({
    signal: AbortSignal.timeout(timeoutMs),
    endpoint: fetchEndpoint,
    moreHeaders: readHeaders?.(),
  });
  const client = neon(databaseUrl);
  const databases = { write: openDatabase('write'), snapshot: openDatabase('snapshot') };
  const settings = sql.raw(listSettings(timeoutMs));
  const variables = { ...DATABASE_URL, ...(fetchEndpoint !== undefined && { address: 'DATABASE_HTTP_URL' }) };
  let isReadOnlyByDefault = false;

  function openDatabase(mode: TransactionMode): NeonHttpDatabase {
    // drizzle gives a batch neither an isolation level nor a time-out of its own: both are added on the way through.
    const throughClient = {
      query: client.query,
      transaction: (queries: Parameters<typeof client.transaction>[0], options: object) =>
        client.transaction(queries, {
          ...options,
          ...TRANSACTION[mode],
          fetchOptions: fetchOptions(),
        }),
    };
    return drizzle({ client: throughClient as unknown as typeof client });
  }

  return {
    async inTenant(tenantId, build, mode = 'write') {
      const db = databases[mode];
      const { actor, requestId } = readCaller();
      for (let attempt = 1; ; attempt++) {
        const queries = build(db as unknown as Database);
        const begin = [
          // Neon's interface takes no READ WRITE, and a SELECT comes too late for it.
          ...(isReadOnlyByDefault && mode === 'write' ? [db.execute(sql`SET TRANSACTION READ WRITE`)] : []),
          db.execute(
            sql`SELECT pg_catalog.set_config('app.tenant_id', ${tenantId}, true), pg_catalog.set_config('app.actor', ${actor ?? ''}, true), pg_catalog.set_config('app.request_id', ${requestId ?? ''}, true), ${settings}`,
          ),
        ];
        onTransaction?.(queries.length + begin.length);
        try {
          const results = await db.batch([...begin, ...queries] as unknown as [(typeof begin)[number]]);
          // Each query's own rows, in their order: the type of `batch` has lost which.
          return results.slice(begin.length) as never;
        } catch (error) {
          if (isReadOnly(error) && mode === 'write' && !isReadOnlyByDefault) {
            isReadOnlyByDefault = true;
            continue;
          }
          if (!isRepeatable(error) || attempt === ATTEMPTS_MAX) throw toAppError(error, mode, variables);
        }
      }
    },
    ping() {
      return ping(this);
    },
    close: () => Promise.resolve(),
  };
}

/** Options of one client's requests, which the driver passes on to `fetch`. */
interface OwnOptions {
  signal: AbortSignal;
  endpoint: string | undefined;
  moreHeaders: Record<string, string> | undefined;
}

/** The driver has one endpoint and one `fetch` for all clients of a process, so each request carries its client's own. */
function fetchAsTold(url: string, init: RequestInit & OwnOptions): Promise<Response> {
  const { endpoint = url, moreHeaders, headers, ...rest } = init;
  // Headers given as options would replace the driver's own.
  return fetch(endpoint, { ...rest, headers: { ...(headers as Record<string, string>), ...moreHeaders } });
}
