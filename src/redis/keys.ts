/**
 * The format of every key, in one place. `wk:{tenant}:…`: a cluster keeps keys with the same braces together. Ids contain only
 * `A-Z a-z 0-9 . _ : -` (`checkId`), so no id has a brace or `!`, and no two things share a key.
 */

/** The beginning of every key. */
export const KEY_PREFIX = 'wk';

/** One cached value: a string of JSON, with an expiry. */
export function cacheKey(tenantId: string, type: string, id: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:cache:${type}!${id}`;
}

/** A world state that a game server keeps: JSON in gzip as base64, with an expiry. It is a copy that nothing else reads. */
export function worldStateKey(space: SpaceAddress): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:world-state`;
}

/** The data of a person's session: a string of JSON, with an expiry. */
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

/** A delivery of QStash whose job is done, by the id that its signature gives it: a string, with an expiry. */
export function finishedJobKey(deliveryId: string): string {
  return `${KEY_PREFIX}:job:${deliveryId}`;
}

/** A space in the set of spaces with pending entries. */
export function spaceMember({ tenantId, spaceId }: SpaceAddress): string {
  return `${tenantId}!${spaceId}`;
}

/** @returns null for what `spaceMember` did not make. */
export function readSpaceMember(member: string): SpaceAddress | null {
  const [tenantId = '', spaceId = '', ...rest] = member.split('!');
  return tenantId === '' || spaceId === '' || rest.length > 0 ? null : { tenantId, spaceId };
}

/** The state of a space's log: a hash; with an expiry if the space was deleted. */
export function logMetaKey(space: SpaceAddress): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:meta`;
}

/** A space's entries: a stream, with an expiry while all of it is committed. */
export function logKey(space: SpaceAddress, incarnation: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:${incarnation}:log`;
}

/**
 * Where a space's entries are published as they are appended (`{"seq", "prev", "actor", "ops"}`), who comes and goes
 * (`{"presence": …}`), and its end (`{"retired": true}`). So is the seq up to which Postgres has committed them
 * (`{"committed": seq}`).
 */
export function liveChannel(space: SpaceAddress, incarnation: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:${incarnation}:live`;
}

/** A space's world at one seq, for readers: a hash, with an expiry. It is only a copy. */
export function snapshotKey(space: SpaceAddress, incarnation: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:${incarnation}:snap`;
}

/** A snapshot while it is written: becomes the space's when it is whole. */
export function snapshotAsideKey(space: SpaceAddress, incarnation: string, token: string): string {
  return `${snapshotKey(space, incarnation)}:${token}`;
}

/** The metadata of a space in its state: a hash, with an expiry. It is only a copy. */
export function metadataKey(space: SpaceAddress, incarnation: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:${incarnation}:metadata`;
}

/** The reader that loads a missing part of a state: a string, with an expiry. */
export function stateLoaderKey(space: SpaceAddress, incarnation: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:${incarnation}:loader`;
}

/** The process that renews a space's snapshot: a string, with an expiry. */
export function snapshotRenewerKey(space: SpaceAddress, incarnation: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:${incarnation}:renewer`;
}

/** How old what is kept of a tenant's states may be: a hash without an expiry. */
export function tenantMarksKey(tenantId: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:marks`;
}

/** The people in a space: a hash between sorted sets, each with an expiry. See scripts/shared/presence.lua. */
export function presenceKeys(
  space: SpaceAddress,
): [stays: string, people: string, names: string, ended: string] {
  const prefix = `${KEY_PREFIX}:{${spaceMember(space)}}:presence`;
  return [`${prefix}:stays`, `${prefix}:people`, `${prefix}:names`, `${prefix}:ended`];
}

/** The answer to an append: a string, with an expiry. */
export function idempotencyKey(space: SpaceAddress, principal: string, key: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:idem:${principal}!${key}`;
}

/** The answer to an append that posted a message under a caller's id: a string, with an expiry. */
export function messageIdKey(space: SpaceAddress, principal: string, id: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:message:${principal}!${id}`;
}

/** The used part of a person's messages in a space: a string, with an expiry. */
export function chatBudgetKey(space: SpaceAddress, userId: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:chat-budget:${userId}`;
}

/** The used part of a principal's budget in a space: a string, with an expiry. */
export function budgetKey(space: SpaceAddress, principal: string): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:budget:${principal}`;
}

/** Sorted sets over which the spaces with something to drain are spread. */
export const DIRTY_SHARDS = 16;

/** Spaces with something to drain, by the seq of the oldest entry not committed: a sorted set. */
export function dirtyKey(shard: number): string {
  return `${KEY_PREFIX}:dirty:${shard}`;
}

/** Streams that are open of a space, by the end of their lease (µs since 1970): a sorted set, with an expiry. */
export function spaceStreamsKey(space: SpaceAddress): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:streams`;
}

/** The same of a principal, in all spaces of the tenant. */
export function principalStreamsKey(tenantId: string, principal: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:streams:${principal}`;
}

/** The same of a tenant, in all spaces and of all principals. */
export function tenantStreamsKey(tenantId: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:streams`;
}

/** Open streams of the whole deployment, by the end of their lease (µs since 1970): a sorted set, with an expiry. */
export const ALL_STREAMS_KEY = `${KEY_PREFIX}:streams`;

/** The counts of the whole deployment by field: a hash, without an expiry. */
export const COUNTS_KEY = `${KEY_PREFIX}:{metrics}:counts`;

/** A flush of counts that was added: a string, with an expiry. */
export function countsTokenKey(token: string): string {
  return `${KEY_PREFIX}:{metrics}:flush:${token}`;
}

/** Counts of drained operations of a tenant: a hash, without an expiry. */
export function drainStatsKey(tenantId: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:drain-stats`;
}

/** A tenant's spaces with the newest committed entries, by their seq: a sorted set, with an expiry. Deleted spaces may be there. */
export function newestSpacesKey(tenantId: string): string {
  return `${KEY_PREFIX}:{${tenantId}}:newest-spaces`;
}

/** Operations of a space that came to nothing: a sorted set by seq, for ten minutes. */
export function noEffectsKey(space: SpaceAddress): string {
  return `${KEY_PREFIX}:{${spaceMember(space)}}:no-effects`;
}

/** The log of events of the whole deployment. No tenant and no space has this name, because an id has no `!`. */
const EVENTS_PREFIX = `${KEY_PREFIX}:{!events}`;

/** Its state, its entries and its pending bytes: a hash, a stream and a hash, without an expiry. See scripts/append-events.lua. */
export const EVENT_LOG_KEYS = [
  `${EVENTS_PREFIX}:meta`,
  `${EVENTS_PREFIX}:log`,
  `${EVENTS_PREFIX}:pending`,
] as const;

/** Ids that a tenant's callers gave to events: a sorted set, with an expiry. */
export function eventIdsKey(tenantId: string, sender: 'server' | 'person' = 'server'): string {
  return `${EVENTS_PREFIX}:ids:${sender}:${tenantId}`;
}

/** The name of this life of Redis: a string. */
export const INSTANCE_KEY = `${KEY_PREFIX}:instance`;

/** Kinds of copies: each is created again when it is needed. */
export type CopyKind = 'values' | 'worldStates' | 'snapshots';

/** Ids as `checkId` takes them: what a caller put into another key, such as an idempotency key, can look like no copy. */
const ID = '[A-Za-z0-9._:-]{1,128}';
const COPY_KEYS: Readonly<Record<CopyKind, RegExp>> = {
  values: new RegExp(`^${KEY_PREFIX}:\\{${ID}\\}:cache:`),
  worldStates: new RegExp(`^${KEY_PREFIX}:\\{${ID}!${ID}\\}:world-state$`),
  // The name of an incarnation has no colon, so the text after it is a suffix of ours.
  snapshots: new RegExp(`^${KEY_PREFIX}:\\{${ID}!${ID}\\}:[A-Za-z0-9._-]+:(snap(:[A-Za-z0-9-]+)?|metadata)$`),
};

/** @returns null for a key that holds what is nowhere else. */
export function readCopyKind(key: string): CopyKind | null {
  const kinds = Object.keys(COPY_KEYS) as CopyKind[];
  return kinds.find((kind) => COPY_KEYS[kind].test(key)) ?? null;
}

/** The SCAN pattern that misses no copy. @param space null: copies of all tenants. */
export function matchCopyKeys(space: SpaceAddress | null): string {
  return `${KEY_PREFIX}:{${space === null ? '*' : `${spaceMember(space)}}:*`}`;
}

/** The SCAN pattern of all keys of a tenant and its spaces. */
export function matchTenantKeys(tenantId: string): string {
  return `${KEY_PREFIX}:{${tenantId}[!}]*`;
}

/**
 * Whether a key of a tenant is a person's: their session data, budgets, and answers to their requests. Names that servers chose, such as
 * their idempotency keys, are not looked at.
 */
export function isKeyOfPerson(key: string, userId: string): boolean {
  const rest = key.slice(key.indexOf('}:') + 2);
  const own = [
    `user-session:${userId}`,
    `chat-budget:${userId}`,
    `budget:u:${userId}`,
    `streams:u:${userId}`,
  ];
  const begins = [`idem:u:${userId}!`, `message:u:${userId}!`, `rate:action!${userId}!`];
  return own.includes(rest) || begins.some((text) => rest.startsWith(text));
}

interface SpaceAddress {
  tenantId: string;
  spaceId: string;
}
