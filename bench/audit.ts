#!/usr/bin/env node
/**
 * `npm run bench:audit`: batches with the triggers of the audit and without them, in turn, in one run. It prints the median time of a
 * batch, and the processor time that Postgres took for it (on Linux), and the ratios. Other work on the machine changes the first more.
 */
import { readFileSync } from 'node:fs';
import { cpus, hostname, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { ANY_PORTS, makeTemporaryDir, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { openPg } from '../src/postgres/pg.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import type { Batch, ObjectChange } from '../src/world/batch.ts';
import { percentile } from './harness/statistics.ts';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '15' },
    only: { type: 'string', default: '' },
  },
});
const [rows, rounds] = [options.rows, options.rounds].map(Number) as [number, number];
const ADDRESS = { tenantId: 'bench-audit', spaceId: 'main' };
/** Linux counts processor time in these. */
const CLOCK_TICK_MS = 10;
const TABLES = ['world_objects', 'space_members', 'chat_messages', 'spaces'];

const stack = await startStack({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  ports: ANY_PORTS,
  log: (line) => process.stderr.write(`${line}\n`),
});
const { migrationUrl, databaseUrl, superuserUrl } = stack.values;
await migrate({ migrationUrl, appUrl: databaseUrl });
const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: 60_000 });
const admin = new pg.Client({
  connectionString: Object.assign(new URL(superuserUrl), { pathname: new URL(databaseUrl).pathname }).href,
});
const [store, world] = [createDrainStore(postgres), createWorldStore(postgres)];
let cursor = 0;
let incarnation = '';
let round = 0;

interface Taken {
  ms: number;
  processorMs: number;
}

/** Batches by the change of each of their rows. */
const KINDS = {
  moves: (id, seq) => ({
    ...{ kind: 'patch', id, seq, actor: 'ann' },
    position: { x: round, y: seq % 100, z: 1.5 },
    rotation: { x: 0, y: 0.6, z: 0, w: 0.8 },
  }),
  properties: (id, seq) => ({ kind: 'patch', id, seq, actor: 'ann', patches: [{ colour: `c${round}` }] }),
  names: (id, seq) => ({ kind: 'patch', id, seq, actor: 'ann', name: `Object ${round}` }),
  'whole objects': (id, seq) => put(id, seq, 'ann', false),
  inserts: (id, seq) => put(`${id}-${round}`, seq, 'ann', false),
  deletes: (id, seq) => ({ kind: 'delete', id: `${id}-${round - 1}`, seq }),
} satisfies Record<string, (id: string, seq: number) => ObjectChange>;

function put(id: string, seq: number, actor: string, isNew: boolean): ObjectChange {
  const object = {
    ...{ id, name: `Object ${round}`, modelId: 'chair', parentId: null },
    position: { x: round, y: seq % 100, z: 1.5 },
    rotation: { x: 0, y: 0.6, z: 0, w: 0.8 },
    scale: { x: 1, y: 1, z: 1 },
    properties: { colour: `c${round}`, kind: 'chair', tags: ['a', 'b'], locked: false },
  };
  return { kind: 'put', id, seq, actor, object, createdSeq: seq, createdBy: actor, isNew };
}

/** Milliseconds of the processor that the connection's own process has taken; NaN where no file says so. */
async function readProcessorMs(): Promise<number> {
  const [rows] = await postgres.inTenant('', (db) => [
    db.select({ pid: sql<number>`pid` }).from(sql`pg_backend_pid() as pid`),
  ]);
  try {
    const fields = readFileSync(`/proc/${rows[0]?.pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
  } catch {
    return Number.NaN;
  }
}

async function apply(make: (id: string, seq: number) => ObjectChange): Promise<Taken> {
  round++;
  const origins: NonNullable<Batch['origins']>[number][] = [];
  const objects = Array.from({ length: rows }, (_, i) => {
    const seq = cursor + 1 + i;
    origins.push({ seq, actor: `person-${i % 50}`, requestId: crypto.randomUUID() });
    return make(`o${i}`, seq);
  });
  const to = cursor + rows;
  const processorMs = await readProcessorMs();
  const startedMs = performance.now();
  const outcome = await store.applyBatch(ADDRESS, {
    ...{
      incarnation,
      from: cursor,
      to,
      objects,
      avatars: [],
      singles: [],
      results: [],
      incidents: [],
      origins,
    },
  });
  const tookMs = performance.now() - startedMs;
  if (outcome.status !== 'applied') throw new Error(outcome.status);
  cursor = to;
  return { ms: tookMs, processorMs: (await readProcessorMs()) - processorMs };
}

async function audit(isOn: boolean): Promise<void> {
  for (const table of TABLES)
    await admin.query(`ALTER TABLE ${table} ${isOn ? 'ENABLE' : 'DISABLE'} TRIGGER USER`);
}

try {
  await admin.connect();
  await world.ensureTenant(ADDRESS.tenantId);
  await world.putSpace(ADDRESS.tenantId, ADDRESS.spaceId, { name: 'Main' });
  const opened = await store.loadCursor(ADDRESS);
  ({ cursor, incarnation } = opened as NonNullable<typeof opened>);
  await apply((id, seq) => put(id, seq, 'ann', false));
  const table: object[] = [];
  for (const [kind, make] of Object.entries(KINDS)) {
    if (options.only !== '' && options.only !== kind) continue;
    const times: Record<'on' | 'off', Taken[]> = { on: [], off: [] };
    for (let i = 0; i < 2 * rounds; i++) {
      const isOn = i % 2 === 0;
      await audit(isOn);
      if (kind === 'deletes') await apply((id, seq) => put(`${id}-${round}`, seq, 'ann', false));
      times[isOn ? 'on' : 'off'].push(await apply(make));
    }
    const [on, off] = [summarise(times.on), summarise(times.off)];
    table.push({
      ...{ batch: kind, 'ms without': round1(off.ms), 'ms with': round1(on.ms) },
      ...{ ratio: Number((on.ms / off.ms).toFixed(2)) },
      ...{ 'processor ms without': round1(off.processorMs), 'processor ms with': round1(on.processorMs) },
      'processor ratio': Number((on.processorMs / off.processorMs).toFixed(2)),
    });
  }
  const machine = `${hostname()}: ${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`;
  console.log(`\n${machine}; ${rows} rows a batch, ${rounds} batches of each`);
  console.table(table);
} finally {
  await Promise.all([postgres.close(), admin.end()]);
  await stack.stop();
}

/** The median time, and the mean processor time, whose ticks are coarse. */
function summarise(taken: readonly Taken[]): Taken {
  const sum = taken.reduce((total, { processorMs }) => total + processorMs, 0);
  return {
    ms: percentile(
      taken.map(({ ms }) => ms),
      50,
    ),
    processorMs: sum / taken.length,
  };
}

function round1(value: number): number {
  return Number(value.toFixed(1));
}
