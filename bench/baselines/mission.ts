import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { type Bench, repeat } from '../harness/bench.ts';
import { openLoad, requireAll } from '../harness/load.ts';
import { createRandom, nameObject } from '../harness/operations.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { describeCpu, type Figure, format } from '../harness/report.ts';
import type { BenchStack } from '../harness/stack.ts';
import { MISSION_NAME, MISSION_TABLE, type MissionTask, makeMissionTable } from './mission-table.ts';

const BASELINE = 'a queue in memory';
const BASELINE_SET = 'a queue in memory, one statement a batch';
const POLL_MS = 10;
/** A server dies at one of this many acknowledgements. */
const ACKNOWLEDGED_MAX = 150;

interface MissionServer {
  url: string;
  pid: number;
  kill(): Promise<void>;
}

async function startServer({ values }: BenchStack, flush: MissionTask['flush']): Promise<MissionServer> {
  const task: MissionTask = { databaseUrl: values.migrationUrl, redisUrl: values.redisUrl, flush };
  const child = fork(join(import.meta.dirname, 'mission-server.ts'), {
    execArgv: [],
    env: { ...process.env, BENCH_MISSION: JSON.stringify(task) },
  });
  const exited = once(child, 'exit');
  const port = await Promise.race([
    once(child, 'message').then(([message]) => message as number),
    exited.then(([code]) => Promise.reject(new Error(`the server ended with ${code}`))),
  ]);
  exited.catch(() => undefined);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** In-process queue, flush at 100 ms or 100 items, pg and ioredis: measures its speed and its losses. */
export async function measureMission(bench: Bench): Promise<Figure[]> {
  const { sizes } = bench;
  const stack = await bench.openStack();
  try {
    const single = await measureRate(bench, stack, 'one by one', BASELINE);
    const set = await measureRate(bench, stack, 'one statement', BASELINE_SET);
    const lost = await measureLoss(bench, stack);
    return [
      ...single,
      ...set.slice(0, 2),
      {
        section: 'baselines',
        what: `${BASELINE}: acknowledged updates lost at SIGKILL`,
        unit: 'updates',
        values: lost,
        note: `${sizes.crash.baselineKills} kills, one update a request; the worst lost ${format(Math.max(...lost))}`,
      },
    ];
  } finally {
    await stack.stop();
  }
}

async function measureRate(
  bench: Bench,
  stack: BenchStack,
  flush: MissionTask['flush'],
  baseline: string,
): Promise<Figure[]> {
  const { sizes } = bench;
  const updates = sizes.baseline.missionUpdates;
  const rates: number[] = [];
  const cpu: { seconds: CpuTaken; updates: number }[] = [];
  const bytes: number[] = [];
  await repeat(bench, baseline, async (run) => {
    const table = await makeMissionTable(stack.values.migrationUrl, sizes.hotObjects);
    const server = await startServer(stack, flush);
    const target = { url: server.url, headers: {}, objects: sizes.hotObjects };
    const load = await openLoad({ ...target, opsPerRequest: sizes.opsPerRequest, seed: run });
    try {
      const processes = { ...stack.processes, server: server.pid };
      const startedAt = performance.now();
      const requests = Math.ceil(updates / sizes.opsPerRequest);
      const phase = { connections: sizes.connections, seconds: null, requestsPerSecond: null, requests };
      const { seconds } = await measureCpu(processes, async () => {
        const sent = await load.run(phase);
        requireAll(sent, 202);
        while ((await readProcessed(server.url)) < sent.accepted) await delay(POLL_MS);
      });
      rates.push(updates / ((performance.now() - startedAt) / 1_000));
      cpu.push({ seconds, updates });
      const { rows } = await table.query<{ bytes: string }>('select pg_total_relation_size($1) as bytes', [
        MISSION_TABLE,
      ]);
      bytes.push(Number(rows[0]?.bytes) / sizes.hotObjects);
    } finally {
      await load.close();
      await server.kill();
      await table.end();
    }
  });
  const shared = { section: 'baselines', baseline };
  return [
    {
      ...shared,
      what: `${baseline}, pg and ioredis`,
      unit: 'durable updates/s',
      values: rates,
      measure: 'updates/s',
      note: 'acknowledged before it is durable; without authentication and validation',
    },
    {
      ...shared,
      what: `${baseline}: CPU at saturation`,
      unit: 'µs an update',
      measure: 'CPU µs an update',
      values: cpu.map(({ seconds }) => (seconds.total / updates) * 1e6),
      note: describeCpu(cpu),
    },
    {
      ...shared,
      what: `${baseline}: kept in Postgres`,
      unit: 'bytes an object',
      values: bytes,
      measure: 'bytes an object',
      note: `after ${format(updates)} updates of ${format(sizes.hotObjects)} objects`,
    },
  ];
}

async function readProcessed(url: string): Promise<number> {
  return ((await (await fetch(url)).json()) as { processed: number }).processed;
}

/** @returns how many acknowledged updates each kill lost; an update does not count if a later one replaced it */
async function measureLoss({ sizes, tell }: Bench, stack: BenchStack): Promise<number[]> {
  const random = createRandom(1);
  const objects = sizes.hotObjects;
  const table = await makeMissionTable(stack.values.migrationUrl, objects);
  const losses: number[] = [];
  let value = 0;
  try {
    for (let kill = 1; kill <= sizes.crash.baselineKills; kill++) {
      const server = await startServer(stack, 'one by one');
      const acknowledged = new Map<string, number>();
      for (let left = 1 + Math.floor(random() * ACKNOWLEDGED_MAX); left > 0; left--) {
        const id = nameObject(++value % objects);
        const op = {
          op: 'patch',
          id,
          position: { x: value, y: 0, z: 0 },
          rotation: { x: 0, y: 0, z: 0, w: 1 },
        };
        const answer = await fetch(server.url, { method: 'POST', body: JSON.stringify({ ops: [op] }) });
        if (answer.status === 202) acknowledged.set(id, value);
      }
      await server.kill();
      await waitUntilGone(table);
      const { rows } = await table.query<{ object_id: string; x: number }>(
        `select object_id, (position ->> 'x')::float8 as x from ${MISSION_TABLE} where object_id = any($1)`,
        [[...acknowledged.keys()]],
      );
      losses.push(rows.filter(({ object_id, x }) => x < (acknowledged.get(object_id) ?? 0)).length);
      tell(`a queue in memory, killed ${kill} of ${sizes.crash.baselineKills} times: lost ${losses.at(-1)}`);
    }
  } finally {
    await table.end();
  }
  return losses;
}

/** Postgres still runs the statements that the server sent before it died. The loss is known only after their end. */
async function waitUntilGone(client: pg.Client): Promise<void> {
  for (;;) {
    const { rowCount } = await client.query('select from pg_stat_activity where application_name = $1', [
      MISSION_NAME,
    ]);
    if (rowCount === 0) return;
    await delay(POLL_MS);
  }
}
