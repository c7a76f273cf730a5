#!/usr/bin/env node
/**
 * `npm run bench:cleanup`: a cleanup of a million events over 40 days, and of other rows, next to a reader and a writer. It prints rows per
 * table before and after, and the longest transaction of each step. It also prints the times of the reader and the writer, without and with
 * the cleanup.
 */
import { cpus, hostname, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { ANY_PORTS, makeTemporaryDir, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import { Upkeep } from '../src/jobs/upkeep.ts';
import { DirectLog } from '../src/log/direct-log.ts';
import { PersistenceLayer } from '../src/persistence-layer.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { openPg } from '../src/postgres/pg.ts';
import { createUpkeepStore } from '../src/postgres/upkeep-store.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import { RETENTION } from '../test/jobs/old-and-new.ts';
import { describeCalls, timeUpkeep } from '../test/jobs/time-upkeep.ts';
import { percentile } from './harness/statistics.ts';

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    rows: { type: 'string', default: '100000' },
    days: { type: 'string', default: '40' },
    seconds: { type: 'string', default: '10' },
  },
});
const [events, rows, days, seconds] = [options.events, options.rows, options.days, options.seconds].map(
  Number,
) as [number, number, number, number];
const TENANT = 'bench-cleanup';
const TABLES = [
  'events',
  'chat_messages',
  'incidents',
  'sessions',
  'write_results',
  'spaces',
  'world_objects',
];

const stack = await startStack({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  ports: ANY_PORTS,
  log: (line) => process.stderr.write(`${line}\n`),
});
const { migrationUrl, databaseUrl, superuserUrl } = stack.values;
await migrate({ migrationUrl, appUrl: databaseUrl });
const open = (poolSizeMax: number) => openPg({ databaseUrl, poolSizeMax, timeoutMs: 60_000 });
const [postgres, others] = [open(2), open(4)];
const asSuperuser = {
  connectionString: Object.assign(new URL(superuserUrl), { pathname: new URL(databaseUrl).pathname }).href,
};
const admin = new pg.Client(asSuperuser);
try {
  await admin.connect();
  const layer = new PersistenceLayer(
    createWorldStore(others),
    new DirectLog(createDrainStore(others), Date.now),
    { tenantId: TENANT, spaceId: 'main', actor: 'bench' },
  );
  await layer.connect();
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  await layer.saveWorldState({ objects: Array.from({ length: 1_000 }, (_, i) => ({ id: `o${i}` })) });
  await layer.putSpace('doomed', { name: 'Doomed' });
  const objects = Array.from({ length: 20_000 }, (_, i) => ({ id: `o${i}` }));
  await layer.saveWorldState({ objects }, { spaceId: 'doomed' });
  await layer.deleteSpace('doomed');
  process.stderr.write(`fills ${events} events and ${rows} other rows over ${days} days\n`);
  await fill();

  const alone = await measureTraffic(layer, async (isOver) => {
    const endMs = performance.now() + seconds * 1_000;
    while (performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 10));
    isOver();
  });
  const before = await countRows();
  const { store, calls } = timeUpkeep(createUpkeepStore(postgres));
  const upkeep = new Upkeep(store, {
    now: Date.now,
    retention: RETENTION,
    forgetSpace: null,
    sweepObjects: async () => 0,
    onFailure: (step, cause) => console.error(step, cause),
  });
  const startedMs = performance.now();
  let runs = 0;
  const during = await measureTraffic(layer, async (isOver) => {
    for (let left = ['all']; left.length > 0; runs++) ({ left } = await upkeep.run({ budgetMs: 20_000 }));
    isOver();
  });
  const tookMs = performance.now() - startedMs;
  const after = await countRows();

  const machine = `${hostname()}: ${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`;
  console.log(`\n${machine}; ${(tookMs / 1_000).toFixed(1)} s in ${runs} runs of at most 20 s`);
  console.table(TABLES.map((table) => ({ table, before: before[table], after: after[table] })));
  console.table(describeCalls(calls));
  console.table(
    (['write', 'read', 'event', 'events'] as const).map((what) => {
      const [p99, p99During] = [percentile(alone[what], 99), percentile(during[what], 99)];
      return {
        what,
        'p99 ms alone': Number(p99.toFixed(1)),
        'p99 ms with the cleanup': Number(p99During.toFixed(1)),
        ratio: Number((p99During / p99).toFixed(2)),
        'longest ms alone': Number(Math.max(...alone[what]).toFixed(1)),
        'longest ms with it': Number(Math.max(...during[what]).toFixed(1)),
      };
    }),
  );
} finally {
  await Promise.all([postgres.close(), others.close(), admin.end()]);
  await stack.stop();
}

async function fill(): Promise<void> {
  const run = (sql: string, ...values: unknown[]) => admin.query(sql, values);
  await run("select add_day('events', current_date - d) from generate_series(0, $1::integer) d", days);
  const at = `now() - make_interval(secs => i * 86400.0 * $2::integer / $1::integer)`;
  const each = 'generate_series(1, $1::integer) i';
  await run(
    `insert into events (tenant_id, event_id, type, space_id, user_id, at, data, created_at)
    select '${TENANT}', 'e' || i, 'object.moved', 'main', 'ann', ${at}, '{"objectId": "o1", "x": 1.5}', ${at} from ${each}`,
    events,
    days,
  );
  await run(
    `insert into chat_messages (tenant_id, space_id, message_id, user_id, text, seq, created_at, deleted_at)
    select '${TENANT}', 'main', 'm' || i, 'ann', 'Hello from the past', 1, ${at}, ${at} from ${each}`,
    rows,
    days,
  );
  await run(
    `insert into incidents (tenant_id, incident_id, space_id, kind, detail, created_at)
    select '${TENANT}', 'i' || i, 'main', 'log_gap', '{}', ${at} - interval '80 days' from ${each}`,
    rows,
    days,
  );
  await run(
    `insert into sessions (tenant_id, session_id, space_id, user_id, role, expires_at)
    select '${TENANT}', 's' || i, 'main', 'ann', 'viewer', ${at} from ${each}`,
    rows,
    days,
  );
  await run(
    `insert into write_results (tenant_id, space_id, seq, results, created_at)
    select '${TENANT}', 'main', i, '[{"id": "o1", "status": "applied"}]', ${at} from ${each}`,
    rows,
    days,
  );
  await run("update spaces set deleted_at = now() - interval '8 days' where space_id = 'doomed'");
  await run('vacuum analyze');
}

async function countRows(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const { rows: found } = await admin.query<{ n: number }>(`select count(*)::int as n from ${table}`);
    counts[table] = found[0]?.n ?? -1;
  }
  return counts;
}

type Traffic = Record<'write' | 'read' | 'event' | 'events', number[]>;

/** Writes and reads one after the other, each in a lane, until the work is over. */
async function measureTraffic(
  layer: PersistenceLayer,
  work: (isOver: () => void) => Promise<void>,
): Promise<Traffic> {
  const taken: Traffic = { write: [], read: [], event: [], events: [] };
  let goesOn = true;
  let i = 0;
  const lane = async (what: keyof Traffic, one: () => Promise<unknown>) => {
    while (goesOn) {
      const startedMs = performance.now();
      await one();
      taken[what].push(performance.now() - startedMs);
      // A steady load: with all of the CPU in use, every figure would be the time in a queue.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const [query, reader] = [new pg.Client(asSuperuser), new pg.Client(asSuperuser)];
  await Promise.all([query.connect(), reader.connect()]);
  const event = () =>
    query.query(
      `select store_events(NULL, 0, 0, json_build_array(json_build_object('tenant', '${TENANT}', 'events', json_build_array(json_build_object('id', $1::text, 'type', 'x', 'at', now())))))`,
      [`new${i++}`],
    );
  const list = () =>
    reader.query(`select * from events where tenant_id = '${TENANT}' order by created_at desc limit 100`);
  try {
    await Promise.all([
      work(() => {
        goesOn = false;
      }),
      lane('write', () => layer.updateObject(`o${i++ % 1_000}`, { position: { x: i, y: 0, z: 0 } })),
      lane('read', () => layer.getObject(`o${i % 1_000}`)),
      lane('event', event),
      lane('events', list),
    ]);
  } finally {
    await Promise.all([query.end(), reader.end()]);
  }
  return taken;
}
