/** Why Postgres does not serve, in words that hold no secret. */
export interface Refusal {
  /** A sentence that names the variable. */
  cause: string;
  remedy: string;
  /** No retry succeeds until an operator changes something. An outage may end by itself. */
  needsOperator: boolean;
}

/** Names for the places where an operator set how to reach Postgres. */
export interface PostgresVariables {
  /** Where the role, the password and the database are: `DATABASE_URL`. */
  url: string;
  /** Where the host and the port are: `DATABASE_HTTP_URL` where that is set. */
  address: string;
}

export const DATABASE_URL: PostgresVariables = { url: 'DATABASE_URL', address: 'DATABASE_URL' };

/** The code of an error, and the messages of its whole chain of causes. */
export interface ErrorFacts {
  /** Postgres's SQLSTATE. */
  sqlState: string | undefined;
  /** The system's or OpenSSL's, such as ENOTFOUND. */
  systemCode: string | undefined;
  words: string;
}

const CERTIFICATE =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_\w+|HOSTNAME_MISMATCH|ERR_TLS_\w+)$/;
const NO_TLS = /does not support SSL connections/;
const TLS_FAILED = /establishing an SSL connection|before secure TLS connection/;
const TLS_REQUIRED = /no encryption|SSL off|connection is insecure|SSL connection is required/;
/** Neon gives a refused password no SQLSTATE. A password that is missing fails in the driver. */
const PASSWORD = /password authentication failed|^SASL: /m;
const NOT_MIGRATED = ['42P01', '42883', '42703', '42704', '3F000'];

/** @returns null where the cause is not known, or is not the operator's. */
export function explainRefusal(
  { sqlState, systemCode = '', words }: ErrorFacts,
  { url, address }: PostgresVariables = DATABASE_URL,
): Refusal | null {
  const refuse = (cause: string, remedy: string) => ({ cause, remedy, needsOperator: true });
  if (NO_TLS.test(words))
    return refuse(
      `Postgres does not offer TLS, and ${url} asks for it with sslmode.`,
      `Turn TLS on in Postgres. On a private network, remove sslmode from ${url}.`,
    );
  if (CERTIFICATE.test(systemCode))
    return refuse(
      `The TLS certificate of Postgres at ${address} is not trusted (${systemCode}).`,
      `Add sslrootcert=<file of its authority> to ${url}. Without a check of the certificate: sslmode=no-verify.`,
    );
  if (/^(EPROTO|ERR_SSL_\w+)$/.test(systemCode) || TLS_FAILED.test(words))
    return refuse(
      `Postgres at ${address} does not complete the TLS handshake${inBrackets(systemCode)}.`,
      `Check that ${address} names a Postgres with TLS.`,
    );
  if (TLS_REQUIRED.test(words))
    return refuse(
      `Postgres requires TLS, and ${url} does not ask for it.`,
      `Add sslmode=verify-full to ${url}.`,
    );
  if (sqlState?.startsWith('28') || PASSWORD.test(words))
    return refuse(
      `Postgres refuses the role or the password in ${url}.`,
      'Correct them. npx worldkeep migrate gives worldkeep_app the password in DATABASE_URL.',
    );
  if (words.includes('URI malformed'))
    return refuse(
      `${url} has a percent sign that begins no character.`,
      'Write a percent sign of the password as %25.',
    );
  if (sqlState?.startsWith('3D'))
    return refuse(
      `The database that ${url} names does not exist.`,
      `Create it, or correct the name in ${url}.`,
    );
  if (/sslmode=verify-ca requires/.test(words))
    return refuse(
      `${url} sets sslmode=verify-ca without sslrootcert.`,
      'Add sslrootcert=<file of its authority>.',
    );
  if (['ENOENT', 'EACCES', 'EISDIR'].includes(systemCode))
    return refuse(
      `A file that ${url} names cannot be read (${systemCode}).`,
      'Correct sslrootcert, sslcert and sslkey.',
    );
  if (sqlState === '42501')
    return refuse(
      `The role in ${url} lacks a right that the migrations grant to worldkeep_app.`,
      'Connect as worldkeep_app, or run npx worldkeep migrate.',
    );
  if (sqlState !== undefined && NOT_MIGRATED.includes(sqlState))
    return refuse(
      `The database that ${url} names is not migrated to this version.`,
      'Run npx worldkeep migrate with DATABASE_MIGRATION_URL set.',
    );
  if (sqlState === '25006' || (sqlState === '0A000' && words.includes('recovery')))
    return refuse(
      `Postgres at ${address} is read-only.`,
      `Let ${address} name the primary server, not a replica.`,
    );
  if (['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA'].includes(systemCode))
    return {
      cause: `The host in ${address} cannot be found (${systemCode}).`,
      remedy: 'Correct the host name, or repair DNS.',
      needsOperator: false,
    };
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(systemCode))
    return {
      cause: `Postgres cannot be reached at the host and port in ${address} (${systemCode}).`,
      remedy: 'Start Postgres, or correct the address.',
      needsOperator: false,
    };
  return null;
}

function inBrackets(code: string): string {
  return code === '' ? '' : ` (${code})`;
}
