#!/usr/bin/env node
/**
 * `node bench/operations.ts`: the routes of the operations page, with many people, incidents and pending spaces. The Node server and its
 * stores are real; one client asks.
 */
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { issueKey } from '../dev/first-world.ts';
import type { StackValues } from '../dev/stack.ts';
import { pause } from '../src/helpers/time.ts';
import { LIMITS } from '../src/world/limits.ts';
import { startNodeServer } from './harness/node-server.ts';
import { describeMachine } from './harness/report.ts';
import { startBenchStack } from './harness/stack.ts';
import { percentile } from './harness/statistics.ts';

const USAGE = `node bench/operations.ts [--people N] [--incidents N] [--reads N]

  --people N     people of one tenant, default 1,000,000
  --incidents N  incidents of one tenant, default 100,000
  --reads N      how often each request is measured, default 30
`;
const TENANT = 'bench-0';
/** Pending spaces of the tenant, and of all others. */
const [OWN_PENDING, OTHERS_PENDING] = [1_000, 20_000];

const { values: given } = parseArgs({
  options: {
    people: { type: 'string', default: '1000000' },
    incidents: { type: 'string', default: '100000' },
    reads: { type: 'string', default: '30' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (given.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const [people, incidents, reads] = [given.people, given.incidents, given.reads].map(Number);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
const tell = (line: string) => void process.stderr.write(`${line}\n`);
const round = (value: number) => Math.round(value * 10) / 10;

async function fill(superuser: pg.Client): Promise<void> {
  await superuser.query(
    `insert into users (tenant_id, user_id, display_name, properties)
     select $1, 'user-' || lpad(n::text, 7, '0'), 'Person ' || md5(n::text), '{"team": "blue", "level": 7}'
     from generate_series(1, $2::integer) as n`,
    [TENANT, people],
  );
  await superuser.query(
    `insert into incidents (tenant_id, incident_id, space_id, kind, detail, created_at)
     select $1, 'i' || n, 'space-' || n % 100, 'reader_ahead', '{"seen": 1}', now() - n * interval '1 minute'
     from generate_series(1, $2::integer) as n`,
    [TENANT, incidents],
  );
}

/** Spaces with a backlog, as a drain that has stopped leaves them. */
async function fillBacklog(redis: Redis): Promise<void> {
  for (let i = 0; i < OWN_PENDING + OTHERS_PENDING; i++) {
    const tenant = i < OWN_PENDING ? TENANT : `other-${i % 200}`;
    const batch = redis.pipeline();
    batch.hset(`wk:{${tenant}!s${i}}:meta`, {
      incarnation: 'i',
      counts: '30 10 900',
      settled: '10 4 300',
      last: '9',
    });
    batch.zadd(`wk:dirty:${i % 16}`, i + 1, `${tenant}!s${i}`);
    await batch.exec();
  }
}

async function measure(url: string, key: string, path: string, pauseMs = 0): Promise<number[]> {
  const taken: number[] = [];
  for (let i = 0; i < (reads ?? 0); i++) {
    const startedAt = performance.now();
    const response = await fetch(url + path, { headers: { Authorization: `Bearer ${key}` } });
    const text = await response.text();
    taken.push(performance.now() - startedAt);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    await pause(pauseMs);
  }
  return taken;
}

async function run(values: StackValues) {
  const within = Object.assign(new URL(values.superuserUrl), {
    pathname: new URL(values.databaseUrl).pathname,
  });
  const superuser = new pg.Client({ connectionString: within.href });
  await superuser.connect();
  const redis = new Redis(values.redisUrl);
  const server = await startNodeServer(values, { DEFAULT_TENANT_ID: TENANT });
  const rows: { request: string; p50: number; max: number }[] = [];
  try {
    const key = await issueKey(values.databaseUrl, TENANT);
    const add = async (request: string, path: string, pauseMs?: number) => {
      await measure(server.url, key, path);
      const taken = await measure(server.url, key, path, pauseMs);
      rows.push({ request, p50: round(percentile(taken, 50)), max: round(Math.max(...taken)) });
    };
    // Longer than an answer is repeated.
    const apartMs = LIMITS.figuresCacheMs + 50;
    tell('figures, without a backlog');
    await add('operations, no backlog', '/v1/operations', apartMs);
    tell('storing people and incidents');
    await fill(superuser);
    for (const statistics of ['without statistics', 'analyzed']) {
      if (statistics === 'analyzed') await superuser.query('analyze users, incidents');
      tell(`people and incidents, ${statistics}`);
      await add(`100 people, ${statistics}`, '/v1/users');
      await add(`search that finds nobody, ${statistics}`, '/v1/users?search=nobody');
      await add(`100 incidents, ${statistics}`, '/v1/incidents');
      await add(`100 incidents of a space, ${statistics}`, '/v1/incidents?space=space-7');
    }
    await add('job runs', '/v1/job-runs');
    tell('figures, with a backlog');
    await fillBacklog(redis);
    await add(`operations, ${OWN_PENDING + OTHERS_PENDING} pending spaces`, '/v1/operations', apartMs);
  } finally {
    await server.stop();
    redis.disconnect();
    await superuser.end();
  }
  return rows;
}

const stack = await startBenchStack();
try {
  const machine = await describeMachine(stack.values);
  const rows = await run(stack.values);
  console.log(`${machine}\n${people} people, ${incidents} incidents, ${reads} reads; milliseconds\n`);
  console.table(rows);
} finally {
  await stack.stop();
}
