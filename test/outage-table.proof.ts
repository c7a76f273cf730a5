import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApp } from '../functions/app.ts';
import { composeNode } from '../functions/compose-node.ts';
import type { Route } from '../functions/openapi/types.ts';
import { ROUTES } from '../functions/routes/index.ts';
import { findUndescribed } from './http/described.ts';
import { type FragileStores, OVER_TCP } from './http/runtimes.ts';
import { stack } from './support.ts';
import { makeTenant, type TestTenant } from './tenants.ts';

/** The flags that a server can honour both ways. `PERSISTENCE_ENABLED=false` is refused with each set of them. */
const FLAGS = [
  'CACHE_ENABLED',
  'BATCH_PROCESSING_ENABLED',
  'ANALYTICS_ENABLED',
  'MEMORY_FALLBACK_ENABLED',
] as const;
const SETS = Array.from({ length: 2 ** FLAGS.length }, (_, bits) =>
  Object.fromEntries(FLAGS.map((flag, i) => [flag, String((bits & (1 << i)) !== 0)])),
);
type Store = 'redis' | 'postgres';
const OUTAGES: readonly (readonly Store[])[] = [[], ['redis'], ['postgres'], ['redis', 'postgres']];
/** Milliseconds within which every request is answered. */
const ANSWER_MS_MAX = 10_000;
const READY_TRIES_MAX = 200;

type Outage = readonly Store[];

/** One request of the table. */
interface Cell {
  route: Route;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
  /** The text by which the oracle finds the write in the stores; null: the request writes nothing that is looked for. */
  marker: string | null;
  /** The request deletes a target, which has this id. */
  targetId?: string;
}

/** The target of each deletion: the request that makes it, and the question whether Postgres has it no more. */
const DELETIONS: Record<
  string,
  { make(marker: string): [method: string, path: string, body: object]; gone: string }
> = {
  deleteObject: {
    make: (marker) => ['PUT', `/v1/spaces/here/objects/${marker}`, {}],
    gone: `not exists (select from world_objects o join spaces s on s.world = o.world
      where s.tenant_id = $1 and o.object_id = $2)`,
  },
  deleteChat: {
    make: (marker) => ['POST', '/v1/spaces/here/chat', { text: marker }],
    gone: 'not exists (select from chat_messages where tenant_id = $1 and message_id = $2 and deleted_at is null)',
  },
  deleteSpace: {
    make: (marker) => ['PUT', `/v1/spaces/${marker}`, { name: marker }],
    gone: 'not exists (select from spaces where tenant_id = $1 and space_id = $2 and deleted_at is null)',
  },
  deleteUser: {
    make: (marker) => ['PUT', `/v1/users/${marker}`, { displayName: marker }],
    gone: 'not exists (select from users where tenant_id = $1 and user_id = $2)',
  },
  deleteKey: {
    make: () => ['POST', '/v1/keys', { scopes: ['read'] }],
    gone: 'not exists (select from api_keys where tenant_id = $1 and key_id = $2 and revoked_at is null)',
  },
};

let stores: FragileStores;
let postgres: pg.Client;
let redis: Redis;
let marked = 0;
/** Acknowledged deletions that were found in the stores, by level. */
const deletions = new Map<string, number>();

beforeAll(async () => {
  stores = await OVER_TCP.openFragileStores();
  postgres = new pg.Client(stack().superuserUrl.replace(/\/postgres$/, '/worldkeep'));
  await postgres.connect();
  redis = new Redis(stack().redisUrl);
});
afterAll(async () => {
  redis.disconnect();
  await postgres.end();
  await stores.close();
});

/** The requests of a route: each with all ways to wait for its commit. */
function listCells(route: Route): Cell[] {
  const wishes = route.headers?.includes('Prefer') ? ['', 'wait', 'respond-async'] : [''];
  return wishes.map((wish) => {
    const marker = `marker-${++marked}`;
    const [type = 'application/json', content] = Object.entries(route.body ?? {})[0] ?? [];
    const own = describeWrite(route.operationId, marker);
    const example = Object.values(content?.examples ?? {})[0];
    const body = own?.body ?? example;
    return {
      route,
      path: route.path.replace('{space}', own?.space ?? 'here').replace('{id}', own?.id ?? 'o'),
      headers: { ...(wish && { Prefer: wish }), ...(body !== undefined && { 'Content-Type': type }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      marker: own === null ? null : marker,
    };
  });
}

/** The writes that the oracle looks for. `postEvents` is none: its answer counts what was taken, and claims no durability (E2). */
function describeWrite(
  operationId: string,
  marker: string,
): { space?: string; id?: string; body: object } | null {
  switch (operationId) {
    case 'postUpdates':
      return { body: { ops: [{ op: 'put', id: marker }] } };
    case 'putObject':
      return { id: marker, body: {} };
    case 'patchObject':
      return { body: { properties: { [marker]: 1 } } };
    case 'putState':
      return { body: { objects: [{ id: 'o' }, { id: marker }] } };
    case 'postChat':
      return { body: { text: marker } };
    case 'putSpace':
      return { space: marker, body: { name: marker } };
    case 'putUser':
      return { id: marker, body: { displayName: marker } };
    default:
      return null;
  }
}

/** The stores that hold a deletion now, read around the server. */
async function findHoldersOfDeletion(
  { tenantId }: TestTenant,
  operationId: string,
  id: string,
): Promise<Set<string>> {
  const holders = new Set<string>();
  const { rows } = await postgres.query(
    `select ${DELETIONS[operationId]?.gone} as committed,
      exists (select from log_spill where tenant_id = $1 and entries::text ~ ('delete\\\\",\\\\"id\\\\":\\\\"' || $2)) as spilled,
      (select incarnation from spaces where tenant_id = $1 and space_id = 'here') as incarnation`,
    [tenantId, id],
  );
  const [{ committed, spilled, incarnation }] = rows;
  if (committed) holders.add('committed');
  if (spilled) holders.add('spilled');
  const entries = await redis.xrange(`wk:{${tenantId}!here}:${incarnation}:log`, '-', '+');
  if (JSON.stringify(entries).includes(`delete\\",\\"id\\":\\"${id}\\"`)) holders.add('queued');
  return holders;
}

/** The stores that hold a write now, read around the server. */
async function findHolders({ tenantId }: TestTenant, marker: string): Promise<Set<string>> {
  const holders = new Set<string>();
  const { rows } = await postgres.query(
    `select
      exists (select from world_objects o join spaces s on s.world = o.world
        where s.tenant_id = $1 and (o.object_id = $2 or o.properties ? $2))
      or exists (select from chat_messages where tenant_id = $1 and text = $2)
      or exists (select from spaces where tenant_id = $1 and space_id = $2)
      or exists (select from users where tenant_id = $1 and user_id = $2) as committed,
      exists (select from log_spill where tenant_id = $1 and strpos(entries::text, $2 || '\\"') > 0) as spilled,
      (select incarnation from spaces where tenant_id = $1 and space_id = 'here') as incarnation`,
    [tenantId, marker],
  );
  const [{ committed, spilled, incarnation }] = rows;
  if (committed) holders.add('committed');
  if (spilled) holders.add('spilled');
  const entries = await redis.xrange(`wk:{${tenantId}!here}:${incarnation}:log`, '-', '+');
  if (JSON.stringify(entries).includes(`${marker}\\"`)) holders.add('queued');
  return holders;
}

/** The holders that make a claim true: the claimed one, or a stronger one. */
const TRUE_BY: Record<string, readonly string[]> = {
  committed: ['committed'],
  queued: ['committed', 'queued'],
  spilled: ['committed', 'queued', 'spilled'],
};

/** Whether the stores that are away allow the claim at all. */
function isPossible(claim: string, away: Outage, flags: Record<string, string>): boolean {
  const [redisAway, postgresAway] = [away.includes('redis'), away.includes('postgres')];
  if (claim === 'memory') return redisAway && postgresAway && flags.MEMORY_FALLBACK_ENABLED === 'true';
  if (claim === 'committed') return !postgresAway;
  return claim === 'queued' ? !redisAway : redisAway && !postgresAway;
}

/** Sends each request of the table under one set of flags. @returns sentences about what was wrong */
async function fillTable(flags: Record<string, string>): Promise<{ cells: number; wrong: string[] }> {
  const tenant = await makeTenant();
  const key = await tenant.apiKey(['read', 'write', 'admin']);
  const env = OVER_TCP.makeEnv({
    ...stores.env,
    ...flags,
    LOG_LEVEL: 'silent',
    API_KEY_CACHE_SECONDS: '300',
    DATABASE_TIMEOUT_MS: '2000',
    REDIS_TIMEOUT_MS: '1000',
    DEFAULT_TENANT_ID: tenant.tenantId,
  });
  const composition = composeNode(env);
  const app = createApp(composition);
  const send = async (method: string, path: string, init: RequestInit = {}) =>
    app.request(
      path,
      { ...init, method, headers: { Authorization: `Bearer ${key}`, ...init.headers } },
      { remoteAddress: '127.0.0.1', cut: () => undefined },
    );
  const put = (path: string, body: object) =>
    send('PUT', path, { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
  const wrong: string[] = [];
  let cells = 0;
  try {
    await put('/v1/spaces/here', { name: 'Here' });
    await put('/v1/spaces/here/objects/o', { name: 'kept' });
    for (const away of OUTAGES) {
      const table = ROUTES.flatMap((route) => listCells(route));
      for (const cell of table) await makeTarget(cell);
      for (const store of away) stores[store].inject('refuse');
      try {
        for (const cell of table) {
          cells++;
          const problem = await tryCell(cell, away);
          if (problem !== null)
            wrong.push(
              `${JSON.stringify(flags)} without [${away}]: ${cell.headers.Prefer ?? ''} ${cell.route.method} ${cell.path}: ${problem}`,
            );
        }
      } finally {
        for (const store of away) stores[store].clear();
        await recover();
      }
    }
    return { cells, wrong };
  } finally {
    await composition.close();
  }

  /** Makes what the request deletes, before the outage. */
  async function makeTarget(cell: Cell): Promise<void> {
    const deletion = DELETIONS[cell.route.operationId];
    if (deletion === undefined) return;
    const marker = `marker-${++marked}`;
    const [method, path, body] = deletion.make(marker);
    const response = await send(method, path, {
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', Prefer: 'wait' },
    });
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}`);
    const made = (await response.json()) as { id: string };
    cell.targetId = made.id;
    cell.path = cell.route.path
      .replace('{space}', path.includes('/here') ? 'here' : made.id)
      .replace('{id}', made.id);
  }

  async function recover(): Promise<void> {
    for (let i = 0; (await send('GET', '/readyz')).status !== 200; i++) {
      if (i === READY_TRIES_MAX) throw new Error('The server does not recover.');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function tryCell(
    { route, path, headers, body, marker, targetId }: Cell,
    away: Outage,
  ): Promise<string | null> {
    const beganMs = performance.now();
    const aborting = new AbortController();
    const response = await send(route.method.toUpperCase(), path, {
      headers,
      signal: aborting.signal,
      ...(body !== undefined && { body }),
    });
    const ms = performance.now() - beganMs;
    const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream') ?? false;
    if (isStream) await response.body?.cancel();
    const text = isStream ? '' : await response.text();
    aborting.abort();
    const { status } = response;
    if (ms > ANSWER_MS_MAX) return `answered after ${Math.round(ms)} ms`;
    if (status === 500) return 'answered 500';
    if (status === 503 && !(Number(response.headers.get('Retry-After')) > 0))
      return '503 without Retry-After';
    const sent = body === undefined ? undefined : JSON.parse(body);
    const sentType = headers['Content-Type'] ?? '';
    if (!isStream) {
      const exchange = { method: route.method.toUpperCase(), path, sent, sentType, status, text };
      const undescribed = findUndescribed({ ...exchange, headers: response.headers });
      if (undescribed !== null) return undescribed;
    }
    if (route.operationId === 'getState' && status === 200 && !text.includes('"o"'))
      return 'the world is empty';
    if ((marker === null && targetId === undefined) || status >= 300) return null;
    // A write outside of worlds has no level: it is in Postgres.
    const claim = response.headers.get('X-Durability') ?? 'committed';
    if (!isPossible(claim, away, flags)) return `claims ${claim}`;
    if (claim === 'memory') return null;
    const holders =
      targetId === undefined
        ? await findHolders(tenant, marker ?? '')
        : await findHoldersOfDeletion(tenant, route.operationId, targetId);
    if (targetId !== undefined && holders.has(claim)) deletions.set(claim, (deletions.get(claim) ?? 0) + 1);
    const isTrue = TRUE_BY[claim]?.some((holder) => holders.has(holder)) ?? false;
    return isTrue ? null : `claims ${claim}, and is in [${[...holders]}]`;
  }
}

it('[F1] no answer claims more than was stored: every set of flags, each outage, every route', async () => {
  let [cells, refused] = [0, 0];
  const wrong: string[] = [];
  for (const [i, flags] of SETS.entries()) {
    const env = OVER_TCP.makeEnv({ ...flags, PERSISTENCE_ENABLED: 'false' });
    expect(() => composeNode(env)).toThrow('PERSISTENCE_ENABLED cannot be off');
    refused++;
    const filled = await fillTable(flags);
    cells += filled.cells;
    wrong.push(...filled.wrong);
    console.log(`${i + 1} of ${SETS.length} sets of flags: ${cells} cells, ${wrong.length} wrong`);
  }
  console.log(`${cells} cells, ${wrong.length} violations; ${refused} sets were refused by name`);
  expect(wrong).toEqual([]);
  expect([...deletions.keys()].sort()).toEqual(['committed', 'queued', 'spilled']);
  console.log(`deletions: ${JSON.stringify(Object.fromEntries(deletions))}`);
  expect(cells).toBeGreaterThan(SETS.length * OUTAGES.length * ROUTES.length);
}, 600_000);
