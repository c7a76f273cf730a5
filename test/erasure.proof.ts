import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApp } from '../functions/app.ts';
import { composeNode } from '../functions/compose-node.ts';
import { ApiKeys } from '../src/access/api-keys.ts';
import { CacheManager } from '../src/index.ts';
import { SpaceLog } from '../src/log/space-log.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { KnownLogs } from '../src/redis/known-logs.ts';
import { createLogStore } from '../src/redis/log.ts';
import { openTcpRedis } from '../src/redis/tcp.ts';
import { LIMITS } from '../src/world/limits.ts';
import { type OwnRedis, openOwnRedis } from './http/own-redis.ts';
import { OVER_TCP } from './http/runtimes.ts';
import { NO_DRAIN, NO_LIMITS } from './log/rig.ts';
import { type OwnDatabase, openOwnDatabase } from './own-database.ts';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
/** An object or an avatar has room for one member of this length, but not for two. */
const LONG = 'x'.repeat(40_000);
const TENANT = 'studio';
const PERSON = 'ann-5e1f';
const NAME = 'Annabella Quill';
const TEXTS = ['the first secret', 'a queued secret', 'a spilled secret', 'a dead secret', 'a staged secret'];
const FILE = 'portrait-of-annabella.png';
const TERMS = [PERSON, NAME, FILE, ...TEXTS];

/** The sizes of the long history. */
const [MESSAGES, EVENTS, AUDIT_ROWS, REDIS_KEYS] = [30_000, 20_000, 100_000, 100_000];
/** Where the person is before: the search is known to find them in each of these. */
const PLACES = [
  ...['audit_entries', 'authors', 'chat_messages', 'dead_letters', 'events', 'log_spill', 'media_assets'],
  ...['person_days', 'sessions', 'space_members', 'users', 'world_stages', 'write_results'],
]
  .map((table) => `table ${table}`)
  .concat(
    ...[
      'budget',
      'cache',
      'chat-budget',
      'idem',
      'ids',
      'log',
      'message',
      'metadata',
      'presence',
      'rate',
    ].map((kind) => `redis ${kind}`),
    ...['snap', 'user-session', 'world-state'].map((kind) => `redis ${kind}`),
    'file',
  );

let database: OwnDatabase;
let redis: OwnRedis;
let folder: string;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  [database, redis] = await Promise.all([openOwnDatabase(), openOwnRedis('tcp')]);
  folder = await mkdtemp(join(tmpdir(), 'worldkeep-erasure-'));
});
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  await Promise.all([database?.close(), redis?.close(), rm(folder, { recursive: true, force: true })]);
});

/** The places that hold one of the terms: tables, kinds of keys in Redis, files. */
async function search(terms: readonly string[]): Promise<string[]> {
  const places = new Set<string>();
  const isHit = (text: unknown) => terms.some((term) => String(text).includes(term));
  const { rows: tables } = await database.admin.query<{ name: string; parent: string | null }>(
    `select format('%I.%I', n.nspname, c.relname) as name, i.inhparent::regclass::text as parent
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_inherits i on i.inhrelid = c.oid
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`,
  );
  expect(tables.length).toBeGreaterThan(40);
  for (const { name, parent } of tables) {
    const { rows } = await database.admin.query<{ row: string }>(`select t::text as row from ${name} t`);
    if (rows.some(({ row }) => isHit(row))) places.add(`table ${parent ?? name.replace('public.', '')}`);
  }
  let cursor = '0';
  do {
    const [next, keys] = await redis.client.scan(cursor, 'COUNT', 1_000);
    cursor = next;
    for (const key of keys)
      if (
        isHit(key) ||
        (await readValue(redis.client, key)).some((text) => isHit(text) || isHit(expand(text)))
      )
        places.add(`redis ${describeKey(key)}`);
  } while (cursor !== '0');
  for (const name of await readdir(folder, { recursive: true })) {
    if (isHit(name)) places.add(`file name ${name}`);
    const bytes = await readFile(join(folder, name)).catch(() => null);
    if (bytes !== null && (isHit(bytes.toString('latin1')) || bytes.equals(PNG))) places.add('file');
  }
  return [...places].sort();
}

async function readValue(client: Redis, key: string): Promise<string[]> {
  switch (await client.type(key)) {
    case 'string':
      return [(await client.get(key)) ?? ''];
    case 'hash':
      return Object.entries(await client.hgetall(key)).flat();
    case 'zset':
      return client.zrange(key, '0', '-1');
    case 'set':
      return client.smembers(key);
    case 'list':
      return client.lrange(key, 0, -1);
    case 'stream':
      return (await client.xrange(key, '-', '+')).flatMap(([, fields]) => fields);
    default:
      return [];
  }
}

/** The text of a value that is compressed, else nothing. */
function expand(text: string): string {
  try {
    return gunzipSync(Buffer.from(text, 'base64')).toString();
  } catch {
    return '';
  }
}

/** `wk:{studio!plaza}:idem:u:ann!key` is `idem`. */
function describeKey(key: string): string {
  const [, rest = key] = /^wk:\{[^}]*\}:(.*)$/.exec(key) ?? [];
  const known = /^(idem|message|chat-budget|budget|user-session|cache|presence|rate|ids|streams)\b/.exec(
    rest,
  );
  return known?.[0] ?? rest.replace(/^[^:]+:(log|snap|metadata)$/, '$1');
}

let composition: ReturnType<typeof composeNode>;

async function openServer(tenantId = TENANT) {
  const env = OVER_TCP.makeEnv({
    ...redis.env,
    DATABASE_URL: database.url,
    ASSET_DIR: folder,
    DEFAULT_TENANT_ID: tenantId,
    LOG_LEVEL: 'silent',
    // So low that budgets are not whole again at the search.
    RATE_LIMIT_REQUESTS_PER_MINUTE: '200',
    RATE_LIMIT_UPDATES_PER_MINUTE: '10',
    RATE_LIMIT_CHAT_PER_MINUTE: '1',
  });
  const opened = composeNode(env);
  composition = opened;
  closing.push(() => (composition === opened ? opened.close() : undefined));
  const app = createApp(opened);
  const keys = new ApiKeys(createApiKeyStore(database.postgres), { now: Date.now, cacheMs: 0 });
  const { secret } = await keys.issueFirst(tenantId, { scopes: ['read', 'write', 'admin'] });
  return async (
    method: string,
    path: string,
    { json, body, headers = {}, token = secret }: CallOptions = {},
  ) => {
    const type = json === undefined ? {} : { 'Content-Type': 'application/json' };
    const sent = json === undefined ? body : JSON.stringify(json);
    const response = await app.request(
      path,
      {
        method,
        headers: { ...type, Authorization: `Bearer ${token}`, ...headers },
        ...(sent && { body: sent }),
      },
      { remoteAddress: '127.0.0.1', cut: () => undefined },
    );
    const text = await response.text();
    if (response.status >= 500) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
  };
}

interface CallOptions {
  json?: unknown;
  body?: Buffer<ArrayBuffer>;
  headers?: Record<string, string>;
  token?: string;
}

/** The log of a space, with a drain that does nothing: entries stay pending. */
function openUndrained() {
  const tcp = openTcpRedis({
    host: '127.0.0.1',
    port: Number(redis.env.REDIS_PORT),
    password: redis.env.REDIS_PASSWORD ?? '',
    timeoutMs: 10_000,
  });
  closing.push(() => tcp.close());
  return new SpaceLog(
    createLogStore(tcp, {}, new KnownLogs(tcp)),
    createDrainStore(database.postgres),
    NO_DRAIN,
    {
      now: Date.now,
      pause: async () => undefined,
      idempotencyTtlSeconds: 600,
      requestsPerMinute: 0,
      updatesPerMinute: 0,
      messagesPerMinute: 0,
      backlog: NO_LIMITS,
      commitsAlways: false,
    },
  );
}

it('[T8] after an erasure no row, key or file holds the id, the name or a text of the person', async () => {
  const call = await openServer();
  const tenantQuery = async (text: string, values: unknown[] = []) => {
    await database.admin.query("select set_config('app.tenant_id', $1, false)", [TENANT]);
    return database.admin.query(text, values);
  };
  const updates = (ops: object[], options: CallOptions = {}) =>
    call('POST', '/v1/spaces/plaza/updates', { json: { ops }, ...options });
  const waiting = { headers: { Prefer: 'wait' } };

  // The person, with a file of theirs as their picture, and another person who stays.
  await call('PUT', '/v1/spaces/plaza', { json: { name: 'Plaza' } });
  await call('PUT', '/v1/spaces/empty', { json: { name: 'Empty' } });
  const { body: media } = await call('POST', '/v1/media', {
    body: PNG,
    headers: {
      'Content-Type': 'image/png',
      'Content-Length': String(PNG.length),
      'Content-Disposition': `attachment; filename="${FILE}"`,
    },
  });
  const avatarUrl = `/v1/media/${media.id}/file`;
  await call('PUT', `/v1/users/${PERSON}`, {
    json: { displayName: NAME, avatarUrl, properties: { is: NAME } },
  });
  await call('PUT', '/v1/users/bob', { json: { displayName: 'Bob' } });
  const enter = async (userId: string) =>
    (await call('POST', '/v1/sessions', { json: { userId, spaceId: 'plaza', role: 'editor' } })).body;
  const [session, bob] = [await enter(PERSON), await enter('bob')];
  const asPerson = { token: session.token };

  // All that they do: they move, build, speak, and repeat requests under keys.
  await updates(
    [{ op: 'user.patch', id: PERSON, position: { x: 1, y: 0, z: 0 }, properties: { hat: NAME } }],
    {
      ...asPerson,
      headers: { Prefer: 'wait', 'Idempotency-Key': 'a-key' },
    },
  );
  await updates([{ op: 'put', id: 'desk', name: 'Desk' }], { ...asPerson, ...waiting });
  await call('POST', '/v1/spaces/plaza/chat', { json: { text: TEXTS[0], id: 'said' }, ...asPerson });
  await call('POST', '/v1/spaces/plaza/chat', { json: { text: 'from bob' }, token: bob.token });
  await call('POST', '/v1/events', { json: { events: [{ id: 'e1', type: 'waved' }] }, ...asPerson });
  // An avatar that nobody can store: a dead letter.
  for (const member of ['a', 'b'])
    await updates([{ op: 'user.patch', id: PERSON, properties: { [member]: LONG } }], {
      ...asPerson,
      ...waiting,
    });
  await call('GET', '/v1/spaces/plaza/state');
  const cache = new CacheManager({
    host: '127.0.0.1',
    port: Number(redis.env.REDIS_PORT),
    password: redis.env.REDIS_PASSWORD,
    tenantId: TENANT,
    actionLimit: { requests: 1, windowSeconds: 3_600 },
  });
  closing.push(() => cache.disconnect());
  await cache.cacheWorldState('plaza', { objects: [], users: [{ id: PERSON, displayName: NAME }] });
  await cache.set('profile', PERSON, { name: NAME });
  await cache.setUserSession(PERSON, { cart: [NAME] });
  await cache.checkRateLimit(PERSON, 'wave');

  // The product's own functions store such rows while stores fail.
  await tenantQuery(
    `select * from keep_spilled('plaza', $1, 'spilled-request', $2, 'spilled-key', 'f', '{}', $3::json, '{spilled-message}', 100, null, 1000000, 1000, null)`,
    [
      PERSON,
      `u:${PERSON}`,
      JSON.stringify([
        {
          ops: JSON.stringify([
            { op: 'chat.post', id: 'spilled-message', userId: PERSON, text: TEXTS[2], kind: 'text' },
            { op: 'user.patch', id: PERSON, properties: { hat: NAME } },
          ]),
          count: 2,
        },
      ]),
    ],
  );
  await tenantQuery(
    `insert into dead_letters (tenant_id, dead_letter_id, space_id, incarnation, seq, index, actor, kind, target_id, op, corrected_at)
    values ($1, 'letter', 'plaza', 'i', 1, 0, $2, 'message', 'm', $3, now())`,
    [
      TENANT,
      PERSON,
      JSON.stringify({ op: 'chat.post', id: 'm', userId: PERSON, text: TEXTS[3], kind: 'text' }),
    ],
  );
  await tenantQuery(`select stage_world('staged', 'empty')`).catch(() => undefined);
  await tenantQuery(
    `insert into world_stages (tenant_id, stage_id, space_id, world, aside, queued_at)
    values ($1, 'waits', 'empty', 1, $2, now())`,
    [
      TENANT,
      JSON.stringify({
        users: [
          { id: PERSON, name: NAME },
          { id: 'bob', name: 'Bob' },
        ],
        models: [],
        media: [],
        chat: [{ id: 'c', user: PERSON, text: TEXTS[4], kind: 'text' }],
      }),
    ],
  );
  await tenantQuery(
    `insert into audit_entries (tenant_id, actor, request_id, table_name, action, space_id, object_id, user_id, old, new) values
      ($1, $2, 'r1', 'world_objects', 'insert', 'plaza', 'desk', null, null, '{"name": "Desk"}'),
      ($1, 'key_1', 'r2', 'users', 'insert', null, $2, $2, null, jsonb_build_object('displayName', $3::text)),
      ($1, 'key_1', 'r3', 'media_assets', 'insert', null, $4, null, null, jsonb_build_object('name', $5::text)),
      ($1, 'key_1', 'r4', 'spaces', 'update', 'plaza', null, null, '{}', jsonb_build_object('settings', jsonb_build_object('host', $2::text)))`,
    [TENANT, PERSON, NAME, media.id, FILE],
  );
  // A message that no drain has seen.
  const undrained = openUndrained();
  await undrained.enqueue(
    { tenantId: TENANT, spaceId: 'plaza', actor: PERSON },
    [{ op: 'chat.post', id: 'queued-message', userId: PERSON, text: TEXTS[1] ?? '', kind: 'text' }],
    { principal: null, defer: () => undefined },
  );
  const hashes = async () =>
    (
      await database.admin.query(
        `select audit_id, encode(audit_hash(e), 'hex') as hash from audit_entries e where action <> 'erase' order by audit_id`,
      )
    ).rows;

  const isStored = async () =>
    (await database.admin.query(`select from events where user_id = $1 and type = 'user.spawn'`, [PERSON]))
      .rowCount;
  await expect.poll(isStored, { timeout: 20_000 }).toBe(1);
  const before = await search(TERMS);
  console.log(`before: ${before.length} places: ${before.join(', ')}`);
  expect(before).toEqual(expect.arrayContaining(PLACES));
  const hashesBefore = await hashes();

  const startMs = performance.now();
  const { status, body } = await call('DELETE', `/v1/users/${PERSON}`, {
    headers: { Prefer: 'return=representation' },
  });
  console.log(`erased in ${Math.round(performance.now() - startMs)} ms: ${JSON.stringify(body)}`);
  expect(status).toBe(200);
  expect(await search(TERMS)).toEqual([]);
  // The erasure adds rows of its own.
  const kept = new Set(hashesBefore.map(({ audit_id }) => audit_id));
  expect((await hashes()).filter(({ audit_id }) => kept.has(audit_id))).toEqual(hashesBefore);

  // Nothing comes back: not by a drain, a cleanup, or a process that ends.
  await composition.drains?.sweep({ budgetMs: 5_000 });
  await composition.events.drain({ budgetMs: 5_000 });
  await composition.upkeep.run({ budgetMs: 20_000 });
  expect(await search(TERMS)).toEqual([]);

  // All else is there, also for a reader.
  const state = (await call('GET', '/v1/spaces/plaza/state')).body;
  expect(state.chat.map(({ text }: { text: string }) => text)).toEqual(['from bob']);
  expect(state.objects).toMatchObject([
    { id: 'desk', name: 'Desk', createdBy: expect.stringMatching(/^erased:/) },
  ]);
  expect((await call('GET', '/v1/users/bob')).body.displayName).toBe('Bob');
  expect((await call('DELETE', `/v1/users/${PERSON}`)).status).toBe(404);
  expect(await search(TERMS)).toEqual([]);
});

it('[T9a] an export holds a page at a time, and an erasure of a person with a long history ends', async () => {
  const call = await openServer('large');
  const admin = async (text: string, values: unknown[] = []) => {
    await database.admin.query("select set_config('app.tenant_id', 'large', false)");
    return database.admin.query(text, values);
  };
  await call('PUT', '/v1/spaces/plaza', { json: { name: 'Plaza' } });
  await call('PUT', '/v1/users/old', { json: { displayName: 'Old' } });
  await call('PUT', '/v1/spaces/plaza/objects/desk', { json: {} });
  await admin(
    `insert into chat_messages (tenant_id, space_id, message_id, user_id, text, seq, created_at)
    select 'large', 'plaza', 'm' || i, case when i % 5 = 0 then 'old' else 'other' end, repeat('word ', 100), i, now()
    from generate_series(1, $1::integer) i`,
    [MESSAGES],
  );
  await admin(
    `insert into events (tenant_id, event_id, type, user_id, at)
    select 'large', 'e' || i, 'waved', 'old', now() from generate_series(1, $1::integer) i`,
    [EVENTS],
  );
  await admin(`select add_day('audit_entries', ((now() - interval '20 minutes') at time zone 'UTC')::date)`);
  await admin(
    `insert into audit_entries (at, tenant_id, actor, table_name, action, object_id, user_id, new)
    select now() - interval '20 minutes', 'large', case when i % 100 = 0 then 'old' else 'key_1' end, 'world_objects', 'update', 'o' || i, null,
      jsonb_build_object('properties', jsonb_build_object('text', repeat('word ', 20), 'number', i))
    from generate_series(1, $1::integer) i`,
    [AUDIT_ROWS],
  );
  for (let i = 0; i < REDIS_KEYS; i += 10_000)
    await redis.client.mset(
      Array.from({ length: 10_000 }, (_, j) => [`wk:{another}:cache:filler!${i + j}`, 'x']).flat(),
    );

  const state = composition.persistence.forTenant('large', null);
  let [startMs, longest, whole] = [performance.now(), 0, 0];
  const pieces: string[] = [];
  for await (const piece of await state.exportUser('old')) {
    longest = Math.max(longest, piece.length);
    whole += piece.length;
    pieces.push(piece);
  }
  console.log(
    `exported ${whole} characters in ${Math.round(performance.now() - startMs)} ms, ${longest} at a time`,
  );
  const document = JSON.parse(pieces.join(''));
  const ids = new Set(document.messages.map(({ id }: { id: string }) => id));
  expect([ids.size, document.messages.length]).toEqual([MESSAGES / 5, MESSAGES / 5]);
  expect(new Set(document.events.map(({ id }: { id: string }) => id)).size).toBe(EVENTS);
  // Their changes, and the rows of their messages and their profile.
  const audited = AUDIT_ROWS / 100 + MESSAGES / 5 + 1;
  expect(document.audit.length).toBe(audited);
  expect(document.complete).toBe(true);
  expect(longest).toBeLessThan(LIMITS.exportRowsMax * 1_000);

  startMs = performance.now();
  const { body } = await call('DELETE', '/v1/users/old', { headers: { Prefer: 'return=representation' } });
  console.log(
    `erased with ${MESSAGES} messages, ${AUDIT_ROWS} rows of the audit and ${REDIS_KEYS} keys of others in ${Math.round(performance.now() - startMs)} ms: ${JSON.stringify(body.erased)}`,
  );
  expect(body.erased).toMatchObject({ messages: MESSAGES / 5, events: EVENTS });
  expect(body.erased.audit).toBeGreaterThanOrEqual(audited);
  expect(await redis.client.exists('wk:{another}:cache:filler!0')).toBe(1);
});
