import { AppError, readSystemCode } from '../world/errors.ts';
import { NotSent } from './not-sent.ts';

/** Names for the places where an operator set how to reach Redis. */
export interface RedisVariables {
  /** Where the host is: `REDIS_HOST`. */
  address: string;
  /** Where the password or the token is: `REDIS_PASSWORD`. */
  password: string;
}

const CLUSTER = /^(MOVED|ASK|CLUSTERDOWN|CROSSSLOT|TRYAGAIN)\b|SELECT is not allowed in cluster mode/;
const CERTIFICATE =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_\w+|HOSTNAME_MISMATCH|ERR_TLS_\w+)$/;

/**
 * Why Redis does not serve, in words that hold no secret.
 * @param error what a client threw, or the words with which Redis refused a command
 * @returns null where the cause is not known, or is not the operator's.
 */
export function explainRefusal(error: unknown, { address, password }: RedisVariables): AppError | null {
  const told = error instanceof NotSent ? error.cause : error;
  const words = told instanceof Error ? told.message : String(told);
  const code = readSystemCode(error) ?? '';
  const refuse = (message: string, needsOperator = true) =>
    new AppError('store_unavailable', message, {
      cause: error,
      needsOperator,
      outage: readOutage(error, words),
      retryAfterSeconds: needsOperator ? 30 : 2,
    });
  if (CLUSTER.test(words)) return createClusterError(address, error);
  if (/^(Unauthorized: )?(WRONGPASS|NOAUTH)\b/.test(words))
    return refuse(`Redis refuses the user or the password in ${password}. Correct it.`);
  if (/^NOPERM\b/.test(words))
    return refuse(
      `The user of Redis in ${address} may not run a command that worldkeep needs. Allow it with ACL SETUSER.`,
    );
  if (/^READONLY\b/.test(words))
    return refuse(`The Redis in ${address} is a read-only replica. Name the primary server.`);
  if (/^ERR (DB index|invalid DB index|SELECT)/.test(words))
    return refuse(`The Redis in ${address} does not have the database of that number. Correct the number.`);
  if (CERTIFICATE.test(code))
    return refuse(
      `The TLS certificate of Redis at ${address} is not trusted (${code}). Name the file of its authority in NODE_EXTRA_CA_CERTS.`,
    );
  if (/^(EPROTO|ERR_SSL_\w+)$/.test(code))
    return refuse(
      `Redis at ${address} does not complete the TLS handshake (${code}). Check that it offers TLS.`,
    );
  if (['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA'].includes(code))
    return refuse(
      `The host in ${address} cannot be found (${code}). Correct the name, or repair DNS.`,
      false,
    );
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code))
    return refuse(
      `Redis cannot be reached at the host and port in ${address} (${code}). Start Redis, or correct the address.`,
      false,
    );
  // The client names no cause when the server closes a TLS handshake, or never answers it.
  if (code === 'ETIMEDOUT' && words.startsWith('connect'))
    return refuse(
      `No connection to Redis at ${address} was made in time (${code}). Check the host, the port and the firewall, and that Redis offers TLS if the address begins with rediss://.`,
      false,
    );
  if (/^(Unknown RESP type|Protocol error)/.test(words))
    return refuse(`The server at ${address} does not answer as Redis does. Correct the host and the port.`);
  return null;
}

/** Undefined: Redis answered, and may serve other commands. */
function readOutage(error: unknown, words: string): 'unsent' | 'lost' | undefined {
  if (error instanceof NotSent || /^(Unauthorized: )?(WRONGPASS|NOAUTH)\b/.test(words)) return 'unsent';
  return error instanceof Error && error.name !== 'RedisReplyError' ? 'lost' : undefined;
}

/** A script writes keys of several slots, which a cluster refuses. */
export function createClusterError(address: string, cause?: unknown): AppError {
  return new AppError(
    'store_unavailable',
    `The Redis in ${address} runs in cluster mode, which worldkeep does not support. Use a Redis with cluster-enabled no.`,
    { cause, needsOperator: true, retryAfterSeconds: 30 },
  );
}
