import { expect, it } from 'vitest';
import { isRepeatable, readFacts } from './errors.ts';
import { explainRefusal } from './refusals.ts';

const failing = (message: string, code?: string) =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

it.each<[cause: RegExp, error: Error]>([
  [
    /^Postgres requires TLS, and DATABASE_URL does not ask/,
    failing('no pg_hba.conf entry for host "203.0.113.1", user "u", database "d", no encryption', '28000'),
  ],
  [/^Postgres requires TLS/, failing('connection is insecure (try using `sslmode=require`)', '08P01')],
  [/^Postgres refuses the role or the password/, failing("password authentication failed for user 'u'", '')],
  [
    /^Postgres refuses the role or the password/,
    failing('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'),
  ],
  [
    /^The TLS certificate .* is not trusted \(CERT_HAS_EXPIRED\)/,
    failing('certificate has expired', 'CERT_HAS_EXPIRED'),
  ],
  [
    /not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    failing('Hostname/IP does not match', 'ERR_TLS_CERT_ALTNAME_INVALID'),
  ],
  [
    /does not complete the TLS handshake \(ERR_SSL_WRONG_VERSION_NUMBER\)/,
    failing('x', 'ERR_SSL_WRONG_VERSION_NUMBER'),
  ],
  [/does not complete the TLS handshake\.$/, failing('There was an error establishing an SSL connection')],
  [
    /^Postgres at DATABASE_URL is read-only/,
    failing('cannot set transaction read-write mode during recovery', '0A000'),
  ],
  [/^DATABASE_URL has a percent sign/, new URIError('URI malformed')],
  [
    /^DATABASE_URL sets sslmode=verify-ca/,
    failing('SECURITY WARNING: Using sslmode=verify-ca requires specifying a CA'),
  ],
  // As the Neon client throws it.
  [
    /^The host in DATABASE_URL cannot be found \(ENOTFOUND\)/,
    Object.assign(new Error('Error connecting to database'), {
      sourceError: new TypeError('fetch failed', { cause: failing('getaddrinfo', 'ENOTFOUND') }),
    }),
  ],
])('names the cause of what a driver throws: %s', (cause, error) => {
  expect(explainRefusal(readFacts(error))?.cause).toMatch(cause);
});

it.each([
  failing('sorry, too many clients already', '53300'),
  failing('Query read timeout'),
  failing('x', '57P01'),
])('names none for an outage: %s', (error) => {
  expect(explainRefusal(readFacts(error))).toBeNull();
});

it.each([
  ['40001', true],
  ['40P01', true],
  // Postgres ended a connection that was idle, before it read the transaction.
  ['57P05', true],
  ['57P01', false],
  ['25P03', false],
])('a transaction that failed with %s may be retried: %s', (code, isRetried) => {
  expect(isRepeatable(failing('x', code))).toBe(isRetried);
});
