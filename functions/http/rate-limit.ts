import { createMiddleware } from 'hono/factory';
import type { RateDecision, RateLimit, RateSubject } from '../../src/access/rate-limiter.ts';
import type { AppContext, AppEnv } from './context.ts';
import { HttpError } from './problem.ts';

const WINDOW_SECONDS = 60;

/**
 * Counts a request of the principal, which `authenticate` has set, and tells in `RateLimit` and `RateLimit-Policy` what is
 * left; refuses it where nothing is. @param requestsPerMinute of each key and each session; 0: they are not counted.
 */
export function limitRequests(requestsPerMinute: number) {
  const limit: RateLimit = { requests: requestsPerMinute, windowSeconds: WINDOW_SECONDS };
  return createMiddleware<AppEnv>(async function limited(c, next) {
    if (requestsPerMinute === 0) return next();
    const { limiter } = c.get('services');
    const { tenantId, id } = c.get('principal');
    const decision = await limiter.take({ tenantId, kind: 'principal', name: id }, limit);
    if (!decision.allowed) throw refuse(c, 'requests', decision);
    // Before the answer is there: afterwards each header makes it anew.
    for (const [name, value] of Object.entries(readHeaders(c, 'requests', decision))) c.header(name, value);
    await next();
  });
}

/**
 * The same beside the route's own work, which waits for it before it answers (`settleLimit`): two round trips to Redis take the
 * time of one. What was read for one who is refused is thrown away; who is known to be refused is so before anything is read.
 */
export function limitBeside(requestsPerMinute: number) {
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
    const deciding = limiter.take(subject, limit);
    let settling: Promise<void> | null = null;
    const settle = async () => {
      const decision = await deciding;
      if (!decision.allowed) throw refuse(c, 'requests', decision);
      for (const [name, value] of Object.entries(readHeaders(c, 'requests', decision))) c.header(name, value);
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
 * For a route whose requests are counted by what they do, in the same call to Redis: those that fail before that, and what they
 * cost, are counted here, and who has none left is refused before anything is read. @throws rate_limited
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

/**
 * Strangers are those whose credential is not known, by their address. One that memory says has no tries left is refused
 * before a store is asked about its credential; keys and sessions this process knows pass, whatever their neighbours do.
 * @throws rate_limited
 */
export function refuseStranger(c: AppContext): void {
  const { limiter, config } = c.get('services');
  if (config.limits.rateLimitUnknownCredentialsPerMinute === 0) return;
  const block = limiter.findBlock(strangerOf(c));
  if (block !== null) throw refuse(c, 'unknown-credentials', block);
}

/** Counts a credential that was not known. @throws rate_limited where it was one too many. */
export async function countStranger(c: AppContext): Promise<void> {
  const { limiter, config } = c.get('services');
  const requests = config.limits.rateLimitUnknownCredentialsPerMinute;
  if (requests === 0) return;
  const decision = await limiter.take(strangerOf(c), { requests, windowSeconds: WINDOW_SECONDS });
  if (!decision.allowed) throw refuse(c, 'unknown-credentials', decision);
}

function strangerOf(c: AppContext): RateSubject {
  const address = c.get('services').readAddress(c);
  return { tenantId: null, kind: 'address', name: groupAddress(address ?? '') };
}

/** An IPv6 address by its first 64 bits, for a single caller has all that lie behind them; `unknown` for what is none. */
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
    `At most ${requests} requests in ${windowSeconds} seconds; the next in ${seconds} s.`,
    { ...readHeaders(c, policy, decision), 'Retry-After': String(seconds) },
  );
}

/** `t` is when there is more than `r` again. */
function readHeaders(c: AppContext, policy: string, decision: RateDecision): Record<string, string> {
  const { requests, windowSeconds } = decision.limit;
  return {
    RateLimit: `"${policy}";r=${decision.remaining};t=${readSeconds(c, decision)}`,
    'RateLimit-Policy': `"${policy}";q=${requests};w=${windowSeconds}`,
  };
}

function readSeconds(c: AppContext, { resetAtMs }: RateDecision): number {
  return Math.max(1, Math.ceil((resetAtMs - c.get('services').now()) / 1_000));
}
