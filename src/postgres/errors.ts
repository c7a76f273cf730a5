import { AppError, listCauses, notFound, readSystemCode } from '../world/errors.ts';
import type { TransactionMode } from './client.ts';
import { DATABASE_URL, type ErrorFacts, explainRefusal, type PostgresVariables } from './refusals.ts';

/** Constraints that a caller can break, with the member of the input each is about. */
const CONSTRAINT_PATHS: Record<string, string> = {
  world_objects_properties_size: '/properties',
  space_members_properties_size: '/properties',
  users_properties_size: '/properties',
  spaces_settings_size: '/settings',
};

/** A transaction was not begun, because too many wait for a connection. */
export class TooManyWaiting extends AppError {
  constructor() {
    super('store_unavailable', 'Too many requests wait for Postgres.', { retryAfterSeconds: 2 });
  }
}

interface DatabaseFailure {
  code?: unknown;
  constraint?: unknown;
  cause?: unknown;
}

/**
 * Converts an error of a driver to an AppError. The driver's message stays in `cause`: it may hold written values, so it is neither
 * shown nor logged.
 * @param mode after a write with a lost answer, nobody knows whether it was applied
 */
export function toAppError(
  error: unknown,
  mode: TransactionMode = 'snapshot',
  variables: PostgresVariables = DATABASE_URL,
): AppError {
  if (error instanceof AppError) return error;
  const { code, constraint } = findSqlState(error);
  const unavailable = () =>
    new AppError(
      'store_unavailable',
      mode === 'write'
        ? 'Postgres does not answer now. Whether the write was done is not known.'
        : 'Postgres does not answer now.',
      { cause: error, retryAfterSeconds: 2, retrySmaller: tookTooLong(error, code) },
    );
  if (code === undefined && isAnswerTooLarge(error))
    return new AppError('internal', 'Something went wrong here.', { cause: error, retrySmaller: true });
  const refusal = explainRefusal(readFacts(error), variables);
  if (refusal !== null) {
    const { cause, remedy, needsOperator } = refusal;
    return new AppError('store_unavailable', `${cause} ${remedy}`, {
      cause: error,
      needsOperator,
      retryAfterSeconds: needsOperator ? 30 : 2,
    });
  }
  if (code === undefined) return isLostConnection(error) ? unavailable() : internal(error);
  const path = constraint === undefined ? undefined : CONSTRAINT_PATHS[constraint];
  if (code === '23514' && path !== undefined)
    return new AppError('properties_too_large', 'The properties exceed the size limit for an object.', {
      cause: error,
      errors: [{ path, message: 'must use at most 65536 bytes in the database' }],
    });
  if (code === '23503')
    return notFound(
      constraint?.endsWith('_tenants_tenant_id_fk') ? 'this tenant' : 'a thing that the request names',
      { cause: error },
    );
  if (/^(22|23|54)/.test(code))
    return new AppError('validation_failed', 'The input is not valid.', {
      cause: error,
      errors: [{ path: '', message: `is refused by the database (${constraint ?? code})` }],
    });
  // Lost connections, too little of something, shutdowns, serialisation: a repeat may succeed.
  if (/^(08|53|55|57|58|25P|40|XX)/.test(code)) return unavailable();
  return internal(error);
}

/** Whether the database's HTTP interface refused a request or an answer for its size (10 MiB): never the caller's fault. */
export function isAnswerTooLarge(error: unknown): boolean {
  return /(request|response) is too large/.test(readFacts(error).words);
}

/** An error of a driver, for `explainRefusal`. */
export function readFacts(error: unknown): ErrorFacts {
  return {
    sqlState: findSqlState(error).code,
    systemCode: readSystemCode(error),
    words: Array.from(listCauses(error), ({ message }) => message).join('\n'),
  };
}

function internal(error: unknown): AppError {
  return new AppError('internal', 'Something went wrong here.', { cause: error });
}

/** Whether it was given up for the time it took, here or by the server. */
function tookTooLong(error: unknown, code: string | undefined): boolean {
  if (code === '57014') return true;
  for (const at of listCauses(error))
    if (at.name === 'TimeoutError' || at.message === 'Query read timeout') return true;
  return false;
}

/** The errors of drivers when the server did not answer: the Neon client has its own, `pg` has system errors and plain ones. */
function isLostConnection(error: unknown): boolean {
  for (const at of listCauses(error)) {
    if (at.name === 'NeonDbError' || at.name === 'TimeoutError' || at.name === 'AbortError') return true;
    if (typeof at.code === 'string' && /^E[A-Z]+$/.test(at.code)) return true;
    if (/^(Connection terminated|Query read timeout|timeout e)/.test(at.message)) return true;
  }
  return false;
}

/**
 * Whether nothing was done and the same transaction may be retried immediately. `57P05`: Postgres ended a connection that was
 * idle for longer than `idle_session_timeout`, before it read the transaction's first statement.
 */
export function isRepeatable(error: unknown): boolean {
  const { code = '' } = findSqlState(error);
  return code.startsWith('40') || code === '57P05';
}

/** Whether a transaction was to write, and Postgres had made it read-only. */
export function isReadOnly(error: unknown): boolean {
  return findSqlState(error).code === '25006';
}

/** Whether a failure, as an AppError or as a driver threw it, is of the constraint. */
export function hasConstraint(error: unknown, name: string): boolean {
  return findSqlState(error).constraint === name;
}

function findSqlState(error: unknown): { code: string | undefined; constraint: string | undefined } {
  for (let at = error as DatabaseFailure | null | undefined, depth = 0; at && depth < 5; depth++) {
    if (typeof at.code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(at.code))
      return { code: at.code, constraint: typeof at.constraint === 'string' ? at.constraint : undefined };
    at = at.cause as DatabaseFailure | null | undefined;
  }
  return { code: undefined, constraint: undefined };
}

/** Whether the server answered, with a SQLSTATE of this form. Then the connection with it is in a state that is known. */
export function hasSqlState(error: unknown, form = /./): boolean {
  const { code } = findSqlState(error);
  return code !== undefined && form.test(code);
}
