/**
 * Every key's format, once. `wk:{tenant}:…`: the braces hold what a cluster keeps together. Ids are made of
 * `A-Z a-z 0-9 . _ : -` (`checkId`), so neither a brace nor `!` can stand in one, and no two things share a key.
 */

/** What every key begins with. */
export const KEY_PREFIX = 'wk';

/** One cached value: a string of JSON, with an expiry. */
export function cacheKey(tenantId: string, type: string, id: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:cache:${type}!${id}`;
}

/** What a person's session holds: a string of JSON, with an expiry. */
export function userSessionKey(tenantId: string, userId: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:user-session:${userId}`;
}

/** A tenant's hits and misses: a hash of two counts, without an expiry. */
export function cacheStatsKey(tenantId: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:cache-stats`;
}

/**
 * A bucket of tokens, with an expiry; without `KEY_PREFIX:`, which the library that keeps it puts before. The limit is in it
 * because a bucket of another size is another bucket.
 * @param tenantId null for what belongs to none: an address that no key is known of.
 */
export function rateLimitName(
  { tenantId, kind, name }: { tenantId: string | null; kind: string; name: string },
  { requests, windowSeconds }: { requests: number; windowSeconds: number },
): string {
  const tenant = tenantId === null ? '' : `{${tenantId}}:`;
  return `${tenant}rate:${kind}!${name}!${requests}/${windowSeconds}`;
}
