/**
 * Settings that change how Postgres reads, prints or refuses values. A database, a role or a connection string may set any of them. So each
 * transaction sets them in the statement that names its tenant. That costs no round trip, and about 50 µs. Comparing each one first, and
 * setting only the different ones, took longer.
 */
export const FIXED_SETTINGS = {
  // Times are printed as ISO text in UTC. `toTime` reads nothing else.
  DateStyle: 'ISO, YMD',
  TimeZone: 'UTC',
  // The shortest digits that give the same double again.
  extra_float_digits: '1',
  bytea_output: 'hex',
  // The migrations create everything in `public`. No temporary table hides one of theirs.
  search_path: 'public, pg_temp',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  // When off, a query of a protected table is an error.
  row_security: 'on',
  // When on, any error ends the connection, an error that a function handles too.
  exit_on_error: 'off',
  // `statement_timeout` bounds the wait for a lock too.
  lock_timeout: '0',
} as const;

/** Set as well, to the time that the configuration allows. Postgres 16 does not know the last one. */
export const TIMEOUT_SETTINGS = [
  'statement_timeout',
  'idle_in_transaction_session_timeout',
  'transaction_timeout',
] as const;

/** Set by the statement that begins a transaction. */
export const TRANSACTION_SETTINGS = [
  'default_transaction_isolation',
  'default_transaction_read_only',
  'default_transaction_deferrable',
] as const;

/**
 * The expressions that a transaction selects with the name of its tenant, in its first statement.
 * @param timeoutMs how long one statement may take, and how long the transaction may be idle
 */
export function listSettings(timeoutMs: number): string {
  const timeout = `'${Math.trunc(timeoutMs)}'`;
  return [
    set('statement_timeout', timeout, 'true'),
    set('idle_in_transaction_session_timeout', timeout, 'true'),
    ...listFixed('true'),
  ].join(', ');
}

/** For a session that migrates or inspects. No timeout of the database or the role ends it. */
export const SELECT_SESSION_SETTINGS = `SELECT ${[
  set('statement_timeout', "'0'", 'false'),
  set('idle_in_transaction_session_timeout', "'0'", 'false'),
  set('default_transaction_isolation', "'read committed'", 'false'),
  set('default_transaction_read_only', "'off'", 'false'),
  // Names of tables and policies are printed with the quotes that they need, and no more.
  set('quote_all_identifiers', "'off'", 'false'),
  ...listFixed('false'),
].join(', ')}`;

function listFixed(isLocal: 'true' | 'false'): string[] {
  return [
    ...Object.entries(FIXED_SETTINGS).map(([name, value]) => set(name, `'${value}'`, isLocal)),
    `CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL THEN ${set('transaction_timeout', "'0'", isLocal)} END`,
  ];
}

/** The function is named with its schema: the search path of a role may put another one first. */
function set(name: string, value: string, isLocal: 'true' | 'false'): string {
  return `pg_catalog.set_config('${name}', ${value}, ${isLocal})`;
}
