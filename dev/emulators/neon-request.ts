import type { IncomingHttpHeaders } from 'node:http';
import * as z from 'zod';
import { NeonError } from './neon-errors.ts';
import type { Statement } from './neon-exchange.ts';

export interface NeonQuery extends Statement {
  arrayMode: boolean;
}

export interface NeonRequest {
  connection: { user: string; password: string; database: string; applicationName: string | undefined };
  queries: NeonQuery[];
  /** The statement that begins a batch's transaction; null for a single query. */
  begin: string | null;
}

const PARAMS_MAX = 65_535;

/** The client turns every value into text before it sends it. */
const query = z.object({
  query: z.string(),
  params: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])).default([]),
  arrayMode: z.boolean().nullish(),
});
const payload = z.union([z.object({ queries: z.array(query) }), query]);

const ISOLATION_LEVELS: Record<string, string> = {
  ReadUncommitted: 'READ UNCOMMITTED',
  ReadCommitted: 'READ COMMITTED',
  RepeatableRead: 'REPEATABLE READ',
  Serializable: 'SERIALIZABLE',
};

/** Reads a `POST /sql`. Throws {@link NeonError}, 400, with Neon's words. */
export function readNeonRequest(headers: IncomingHttpHeaders, body: Buffer): NeonRequest {
  const connection = readConnectionString(headers['neon-connection-string']);
  if (headers['neon-raw-text-output'] !== 'true')
    throw new NeonError(400, 'this emulator answers in text only: set Neon-Raw-Text-Output to true');
  const begin = readBegin(headers);
  const data = readPayload(body);
  const isBatch = 'queries' in data;
  const queries = isBatch ? data.queries : [data];
  const arrayMode = headers['neon-array-mode'] === 'true';
  return {
    connection,
    begin: isBatch ? begin : null,
    queries: queries.map((it) => {
      if (it.params.length > PARAMS_MAX) throw new NeonError(400, 'value too large to transmit');
      return {
        text: it.query,
        params: it.params.map((param) => (param === null ? null : String(param))),
        arrayMode: it.arrayMode ?? arrayMode,
      };
    }),
  };
}

function readPayload(body: Buffer): z.infer<typeof payload> {
  try {
    return payload.parse(JSON.parse(body.toString('utf8')));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'data did not match any variant of Payload';
    throw new NeonError(400, `could not parse the HTTP request body: ${reason}`);
  }
}

function readBegin(headers: IncomingHttpHeaders): string {
  const name = headers['neon-batch-isolation-level'];
  const level = name === undefined ? '' : ISOLATION_LEVELS[String(name)];
  if (level === undefined) throw new NeonError(400, 'invalid isolation level');
  return [
    'BEGIN',
    level === '' ? '' : `ISOLATION LEVEL ${level}`,
    headers['neon-batch-read-only'] === 'true' ? 'READ ONLY' : '',
    headers['neon-batch-deferrable'] === 'true' ? 'DEFERRABLE' : '',
  ]
    .filter((word) => word !== '')
    .join(' ');
}

function readConnectionString(header: string | string[] | undefined): NeonRequest['connection'] {
  if (typeof header !== 'string') throw new NeonError(400, 'invalid header: neon-connection-string');
  if (!URL.canParse(header))
    throw new NeonError(400, 'invalid connection string: relative URL without a base');
  const url = new URL(header);
  if (!/^postgres(ql)?:$/.test(url.protocol)) throw new NeonError(400, 'incorrect scheme');
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '') throw new NeonError(400, 'missing database name');
  if (database.includes('/')) throw new NeonError(400, 'invalid database name');
  if (url.username === '') throw new NeonError(400, 'missing username');
  if (url.password === '') throw new NeonError(400, 'missing authentication credentials: required password');
  if (url.hostname === '') throw new NeonError(400, 'missing hostname');
  return {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
    applicationName: url.searchParams.get('application_name') ?? undefined,
  };
}
