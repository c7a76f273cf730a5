#!/usr/bin/env node
/**
 * `npm run bench:analytics`: how long each view of analytics takes to refresh over many events, and how much slower reports and writes are
 * meanwhile. The Node server and its stores are real; one client asks.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { issueKey } from '../dev/first-world.ts';
import type { StackValues } from '../dev/stack.ts';
import { VIEWS, type ViewName } from '../src/analytics/reports.ts';
import { startNodeServer } from './harness/node-server.ts';
import { describeMachine } from './harness/report.ts';
import { startBenchStack } from './harness/stack.ts';
import { percentile } from './harness/statistics.ts';

const USAGE = `npm run bench:analytics -- [--events N] [--objects N] [--reads N] [--json]

  --events N   events of 30 days in the database, default 1,000,000
  --objects N  objects in the worlds, default 100,000
  --reads N    how often each request is measured, before and during the refresh, default 300
  --json       the figures as one JSON document on stdout
`;

const TENANTS = 20;
const SPACES = 50;
const PEOPLE = 512;
const DAYS = 30;
/** Events that one statement stores, so that the progress can be shown. */
const EVENTS_PER_STATEMENT = 100_000;
/** Two of five events begin or end a session. */
const KINDS = 5;
const TENANT = 'bench-0';
const SPACE = 'space-0';

interface Options {
  events: number;
  objects: number;
  reads: number;
  json: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '1000000' },
      objects: { type: 'string', default: '100000' },
      reads: { type: 'string', default: '300' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const readNumber = (name: 'events' | 'objects' | 'reads'): number => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number > 0) return number;
    process.stderr.write(`--${name} must be a whole number above 0, not ${values[name]}\n\n${USAGE}`);
    process.exit(2);
  };
  const [events, objects, reads] = [readNumber('events'), readNumber('objects'), readNumber('reads')];
  return { events, objects, reads, json: values.json };
}

const options = readOptions();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
const tell = (line: string) => void process.stderr.write(`${line}\n`);
const round = (value: number) => Math.round(value * 10) / 10;

/** Events of sessions and of other kinds, spread over tenants, spaces, people and days; and the days that they add up to. */
async function fill(superuser: pg.Client): Promise<void> {
  for (let day = 0; day <= DAYS; day++)
    await superuser.query(`select add_day('events', (now() at time zone 'UTC')::date - $1::integer)`, [day]);
  for (let from = 0; from < options.events; from += EVENTS_PER_STATEMENT) {
    const to = Math.min(from + EVENTS_PER_STATEMENT, options.events);
    // A session begins and ends with neighbouring numbers, ten minutes apart.
    await superuser.query(
      `insert into events (tenant_id, event_id, type, space_id, user_id, at, created_at, data)
       select 'bench-' || g % ${TENANTS}, 'e' || n,
         case n % ${KINDS} when 0 then 'session.start' when 1 then 'session.end' else 'app.clicked' end,
         'space-' || g / ${TENANTS} % ${SPACES}, 'user-' || (hashint4(g) & ${PEOPLE - 1}), t.at, t.at,
         case n % ${KINDS} when 1 then '{"seconds": 600}'::jsonb else '{"button": "save"}'::jsonb end
       from generate_series($1::integer, $2::integer - 1) as n
       cross join lateral (select n / ${KINDS} as g) as of_group
       cross join lateral (
         select now() - interval '1 hour' - (g * ${KINDS} / $3::float8) * interval '${DAYS - 1} days'
           + (n % ${KINDS}) * interval '10 minutes' as at
       ) as t`,
      [from, to, options.events],
    );
    tell(`  ${to.toLocaleString('en')} of ${options.events.toLocaleString('en')} events`);
  }
  tell('  adding up the days');
  await superuser.query(
    `insert into person_days (tenant_id, user_id, day, space_id, sessions, seconds)
     select tenant_id, user_id, (at at time zone 'UTC')::date, space_id,
       count(*) filter (where type = 'session.start'), 600 * count(*) filter (where type = 'session.end')
     from events where user_id is not null group by 1, 2, 3, 4`,
  );
  await superuser.query(
    `insert into space_days (tenant_id, space_id, day, changes, messages)
     select tenant_id, space_id, (at at time zone 'UTC')::date, count(*) * 7, count(*) / 9
     from events where user_id is not null group by 1, 2, 3
     on conflict (tenant_id, space_id, day) do update set changes = excluded.changes, messages = excluded.messages`,
  );
  await superuser.query('vacuum analyze');
}

type Ask = (method: string, path: string, body?: unknown) => Promise<void>;

function createAsk(url: string, key: string): Ask {
  return async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', Prefer: 'wait' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  };
}

async function fillWorlds(ask: Ask): Promise<void> {
  const each = 5_000;
  for (let from = 0, space = 0; from < options.objects; from += each, space++) {
    const objects = Array.from({ length: Math.min(each, options.objects - from) }, (_, i) => ({
      id: `o${i}`,
      modelId: `model-${i % 40}`,
      position: { x: i % 70, y: 0, z: Math.floor(i / 70) },
    }));
    const at = `/v1/spaces/space-${space}`;
    await ask('PUT', at, { name: `Space ${space}` });
    await ask('PUT', `${at}/state`, { objects });
    tell(
      `  ${(from + objects.length).toLocaleString('en')} of ${options.objects.toLocaleString('en')} objects`,
    );
  }
}

/** Each request that is measured. */
const REQUESTS: Record<string, (ask: Ask, i: number) => Promise<void>> = {
  'GET /v1/analytics/activity': (ask) => ask('GET', '/v1/analytics/activity'),
  'GET /v1/analytics/spaces': (ask) => ask('GET', '/v1/analytics/spaces'),
  'GET /v1/analytics/models': (ask) => ask('GET', '/v1/analytics/models'),
  'GET /v1/analytics/retention': (ask) => ask('GET', '/v1/analytics/retention'),
  'an update with Prefer: wait': (ask, i) =>
    ask('POST', `/v1/spaces/${SPACE}/updates`, {
      ops: [{ op: 'patch', id: `o${i % 1_000}`, position: { x: i, y: 0, z: 0 } }],
    }),
};

async function measureRequests(ask: Ask): Promise<Record<string, number[]>> {
  const taken: Record<string, number[]> = Object.fromEntries(Object.keys(REQUESTS).map((name) => [name, []]));
  for (let i = 0; i < options.reads; i++)
    for (const [name, send] of Object.entries(REQUESTS)) {
      const startedAt = performance.now();
      await send(ask, i);
      taken[name]?.push(performance.now() - startedAt);
    }
  return taken;
}

/** As the runtime role, each view in a transaction of its own: as the job does it. */
async function refresh(app: pg.Client): Promise<Record<ViewName, number>> {
  const took = {} as Record<ViewName, number>;
  for (const view of VIEWS) {
    const startedAt = performance.now();
    await app.query('begin');
    await app.query("select set_config('statement_timeout', '0', true)");
    const { rows } = await app.query<{ ok: boolean }>('select refresh_view($1) as ok', [view]);
    await app.query('commit');
    if (rows[0]?.ok !== true) throw new Error(`another refresh of ${view} runs`);
    took[view] = performance.now() - startedAt;
  }
  return took;
}

async function connect(url: string, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: Object.assign(new URL(url), { pathname: database }).href,
  });
  await client.connect();
  return client;
}

async function measure(values: StackValues) {
  const { pathname } = new URL(values.databaseUrl);
  const superuser = await connect(values.superuserUrl, pathname);
  const app = await connect(values.databaseUrl, pathname);
  const server = await startNodeServer(values);
  try {
    const key = await issueKey(values.databaseUrl, TENANT);
    const ask = createAsk(server.url, key);
    tell('filling the worlds');
    await fillWorlds(ask);
    tell('storing events');
    await fill(superuser);
    tell('the first refresh, of empty views');
    const first = await refresh(app);
    await superuser.query('vacuum analyze');
    tell('the second refresh, of the same rows');
    const second = await refresh(app);
    const { rows: sizes } = await superuser.query<{ view: string; rows: string }>(
      VIEWS.map((view) => `select '${view}' as view, count(*) as rows from ${view}`).join(' union all '),
    );
    tell(`requests without a refresh: ${options.reads} of each`);
    await measureRequests(ask);
    const before = await measureRequests(ask);
    tell('requests during refreshes, one after the other');
    let isOver = false;
    let refreshes = 0;
    const refreshing = (async () => {
      while (!isOver) {
        await refresh(app);
        refreshes++;
      }
    })();
    const during = await Promise.race([
      measureRequests(ask),
      refreshing.then(() => Promise.reject(new Error('the refresh ended'))),
    ]);
    isOver = true;
    await refreshing;
    return { first, second, sizes, before, during, refreshes };
  } finally {
    await server.stop();
    await app.end();
    await superuser.end();
  }
}

const stack = await startBenchStack();
try {
  const machine = await describeMachine(stack.values);
  const { first, second, sizes, before, during, refreshes } = await measure(stack.values);
  const views = VIEWS.map((view) => ({
    view,
    rows: Number(sizes.find((size) => size.view === view)?.rows),
    firstMs: round(first[view]),
    secondMs: round(second[view]),
  }));
  const requests = Object.keys(REQUESTS).map((request) => {
    const [calm = [], busy = []] = [before[request], during[request]];
    const [p50, p99] = [50, 99].map((p) => ({
      beforeMs: round(percentile(calm, p)),
      duringMs: round(percentile(busy, p)),
      ratio: round(percentile(busy, p) / percentile(calm, p)),
    }));
    return { request, count: busy.length, p50, p99 };
  });
  if (options.json) console.log(JSON.stringify({ machine, options, views, requests, refreshes }, null, 2));
  else {
    console.log(`${machine}\n${options.events} events, ${options.objects} objects, ${refreshes} refreshes\n`);
    console.table(views);
    console.table(
      requests.map(({ request, count, p50, p99 }) => ({
        request,
        count,
        ...{ 'p50 before': p50?.beforeMs, 'p50 during': p50?.duringMs, 'p50 ratio': p50?.ratio },
        ...{ 'p99 before': p99?.beforeMs, 'p99 during': p99?.duringMs, 'p99 ratio': p99?.ratio },
      })),
    );
  }
} finally {
  await stack.stop();
}
