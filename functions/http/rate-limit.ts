import { createMiddleware } from 'hono/factory';
import type { RateDecision, RateLimit, RateSubject } from '../../src/access/rate-limiter.ts';
import { countOf } from '../../src/helpers/counts.ts';
import type { AppContext, AppEnv } from './context.ts';
import { HttpError } from './problem.ts';

const WINDOW_SECONDS = 60;

/**
 * Counts a request of the principal that `authenticate` has set. `RateLimit` and `RateLimit-Policy` show the rest; without a rest the
 * request is refused. @param requestsPerMinute of each key and each session; 0: not counted
 */
export function limitRequests(requestsPerMinute: number) {
  const limit: RateLimit = { requests: requestsPerMinute, windowSeconds: WINDOW_SECONDS };
  return createMiddleware<AppEnv>(async function limited(c, next) {
    if (requestsPerMinute === 0) return next();
    const { limiter } = c.get('services');
    const { tenantId, id } = c.get('principal');
    const decision = await limiter.takeLeased({ tenantId, kind: 'principal', name: id }, limit);
    if (!decision.allowed) throw refuse(c, 'requests', decision);
    // Set before the answer exists: changing a finished answer copies it for each header.
    for (const [name, value] of Object.entries(readHeaders('requests', decision, readSeconds(c, decision))))
      c.header(name, value);
    await next();
  });
}

/**
 * The same, in parallel to the route's own work: two round trips to Redis take the time of one. The route waits for the count before it
 * answers (`settleLimit`). If the request is refused, the result is discarded. A principal that is known to be refused is refused first.
 */
export function limitConcurrently(requestsPerMinute: number) {
  const limit: RateLimit = { requests: requestsPerMinute, windowSeconds: WINDOW_SECONDS };
  return createMiddleware<AppEnv>(async function limited(c, next) {
    if (requestsPerMinute === 0) {
      c.set('settleLimit', () => Promise.resolve());
      return next();
    }
    const { limiter } = c.get('services');
    const { tenantId, id } = c.get('principal');
    const subject: RateSubject = { tenantId, kind: 'principal', name: id };
    const block = limiter.findBlock(subject);
    if (block !== null) throw refuse(c, 'requests', block);
    const deciding = limiter.takeLeased(subject, limit);
    let settling: Promise<void> | null = null;
    const settle = async () => {
      const decision = await deciding;
      if (!decision.allowed) throw refuse(c, 'requests', decision);
      for (const [name, value] of Object.entries(readHeaders('requests', decision, readSeconds(c, decision))))
        c.header(name, value);
    };
    const settleOnce = () => {
      settling ??= settle();
      return settling;
    };
    c.set('settleLimit', settleOnce);
    await next();
    // A route that failed has not waited for it.
    await settleOnce();
  });
}

/**
 * For a route whose handler counts its requests in its own Redis command. This counts requests that fail before that command. A principal
 * without budget is refused before anything is read. @throws rate_limited
 */
export function limitFailures(requestsPerMinute: number) {
  const limit: RateLimit = { requests: requestsPerMinute, windowSeconds: WINDOW_SECONDS };
  return createMiddleware<AppEnv>(async function limited(c, next) {
    if (requestsPerMinute === 0) return next();
    const { limiter } = c.get('services');
    const { tenantId, id } = c.get('principal');
    const subject: RateSubject = { tenantId, kind: 'failures', name: id };
    const block = limiter.findBlock(subject);
    if (block !== null) throw refuse(c, 'requests', block);
    await next();
    const { status } = c.res;
    if (status >= 400 && status !== 429 && status < 500) await limiter.take(subject, limit);
  });
}

/** The claims of a credential that no store has confirmed. */
export type Stranger = { tenantId: string } | { tenantId: string; sessionId: string };

/** Tenants whose budgets an address may use up before all its lookups of unknown credentials stop. */
const STRANGE_TENANTS = 10;

/**
 * Refuses the lookup of a credential that was never good in this process, if its budget is used up. So many guesses cost the database no
 * more than the budget. Credentials that were good are looked up without this check. @throws rate_limited
 */
export function refuseStranger(c: AppContext, stranger: Stranger): void {
  const { limiter } = c.get('services');
  for (const [subject] of listBudgets(c, stranger)) {
    const block = limiter.findBlock(subject);
    if (block !== null) throw refuse(c, 'unknown-credentials', block);
  }
}

/**
 * Charges a credential that turned out to be unknown.
 * @param stranger null where the credential alone showed it, and no store was asked
 * @throws rate_limited where it was one too many
 */
export async function countStranger(c: AppContext, stranger: Stranger | null): Promise<void> {
  const { limiter } = c.get('services');
  const budgets = listBudgets(c, stranger);
  const decisions = await Promise.all(budgets.map(([subject, limit]) => limiter.take(subject, limit)));
  const refused = decisions.find(({ allowed }) => !allowed);
  if (refused !== undefined) throw refuse(c, 'unknown-credentials', refused);
}

/**
 * An address has a budget for each tenant that its guesses name, so that guesses about one tenant do not block keys of another. A larger
 * budget covers all tenants together, so that inventing tenants does not help. Session tokens are signed here, so nobody can guess one:
 * each session has its own budget.
 */
function listBudgets(c: AppContext, stranger: Stranger | null): [RateSubject, RateLimit][] {
  const { config, readAddress } = c.get('services');
  const requests = config.limits.rateLimitUnknownCredentialsPerMinute;
  if (requests === 0) return [];
  const limit: RateLimit = { requests, windowSeconds: WINDOW_SECONDS };
  if (stranger !== null && 'sessionId' in stranger)
    return [[{ tenantId: stranger.tenantId, kind: 'unknown-session', name: stranger.sessionId }, limit]];
  const name = groupAddress(readAddress(c) ?? '');
  if (stranger === null) return [[{ tenantId: null, kind: 'address', name }, limit]];
  return [
    [{ tenantId: stranger.tenantId, kind: 'address', name }, limit],
    [
      { tenantId: null, kind: 'lookups', name },
      { ...limit, requests: requests * STRANGE_TENANTS },
    ],
  ];
}

/** An IPv6 address by its first 64 bits, because one caller has all addresses behind them; `unknown` for no address. */
export function groupAddress(address: string): string {
  const [withoutZone = ''] = address.toLowerCase().split('%');
  if (!/^[0-9a-f.:]{2,45}$/.test(withoutZone)) return 'unknown';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(withoutZone)?.[1];
  if (mapped !== undefined) return mapped;
  if (!withoutZone.includes(':')) return withoutZone;
  const [before = '', after] = withoutZone.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(zeros).fill('0'), ...tail].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::`;
}

function refuse(c: AppContext, policy: string, decision: RateDecision): HttpError {
  const seconds = readSeconds(c, decision);
  const { requests, windowSeconds } = decision.limit;
  return new HttpError(
    'rate_limited',
    `The server accepts ${requests} requests every ${countOf(windowSeconds, 'second')}. Try again in ${countOf(seconds, 'second')}.`,
    { ...readHeaders(policy, decision, seconds), 'Retry-After': String(seconds) },
  );
}

/** @param seconds until there is more than `r` again. One reading of the clock serves the whole answer. */
function readHeaders(policy: string, decision: RateDecision, seconds: number): Record<string, string> {
  const { requests, windowSeconds } = decision.limit;
  return {
    RateLimit: `"${policy}";r=${decision.remaining};t=${seconds}`,
    'RateLimit-Policy': `"${policy}";q=${requests};w=${windowSeconds}`,
  };
}

function readSeconds(c: AppContext, { resetAtMs }: RateDecision): number {
  return Math.max(1, Math.ceil((resetAtMs - c.get('services').now()) / 1_000));
}
