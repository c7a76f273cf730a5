import pg from 'pg';
import type { EmulatorReply } from './http.ts';

/** An answer that is not a database's error. */
export class NeonError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const FIELDS = [
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'table',
  'column',
  'schema',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
] as const;

/** A database's error is 400 with all its fields; without a database's error `code` is empty. */
export function buildErrorReply(error: NeonError | pg.DatabaseError): EmulatorReply {
  const database = error instanceof pg.DatabaseError ? error : null;
  const fields = Object.fromEntries(FIELDS.map((field) => [field, database?.[field] ?? null]));
  return {
    status: error instanceof NeonError ? error.status : 400,
    body: {
      message: error.message,
      code: database?.code ?? '',
      severity: database?.severity ?? '',
      ...fields,
    },
  };
}

/** The answer when no connection could be opened. */
export function explainConnectError(error: unknown, user: string): NeonError | pg.DatabaseError {
  if (!(error instanceof pg.DatabaseError)) return new NeonError(500, "Couldn't connect to compute node");
  // Neon checks the password itself, before it turns to the database, and so has no SQLSTATE to give.
  if (error.code === '28P01' || error.code === '28000')
    return new NeonError(400, `password authentication failed for user '${user}'`);
  return error;
}
