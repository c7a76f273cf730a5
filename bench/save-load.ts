#!/usr/bin/env node
/** `npm run bench:world`: what saving and loading a world costs, against baselines of the same run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus, hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { ANY_PORTS, makeTemporaryDir, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import type { Measured, Task } from './world.ts';

const SIZES = [1_000, 10_000, 100_000];
const RUNS = 5;

const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: SIZES.join(',') },
    runs: { type: 'string', default: String(RUNS) },
    json: { type: 'boolean', default: false },
  },
});
const sizes = options.sizes.split(',').map(Number);
const runs = Number(options.runs);

const stack = await startStack({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  ports: ANY_PORTS,
  log: (line) => process.stderr.write(`${line}\n`),
});

/** Each measurement has a process of its own, so that its peak of memory is its own. */
async function measure(task: Task): Promise<Measured> {
  const { databaseUrl, databaseHttpUrl } = stack.values;
  const child = spawn(process.execPath, [join(import.meta.dirname, 'world.ts')], {
    env: {
      ...process.env,
      BENCH_TASK: JSON.stringify(task),
      DATABASE_URL: databaseUrl,
      DATABASE_HTTP_URL: databaseHttpUrl,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`${JSON.stringify(task)} ended with ${code}`);
  return JSON.parse(output) as Measured;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const rows: Record<string, number | string>[] = [];
try {
  const { migrationUrl, databaseUrl } = stack.values;
  await migrate({ migrationUrl, appUrl: databaseUrl });
  for (const objects of sizes) {
    const taken: Record<string, Measured[]> = {};
    for (let run = 1; run <= runs; run++) {
      for (const name of ['save', 'load', 'raw load', 'one by one'] as const) {
        // One statement an object: a thousandth says what it costs, for it grows with the count alone.
        const task: Task = { name, objects: name === 'one by one' ? Math.min(objects, 1_000) : objects };
        process.stderr.write(`${objects} objects, run ${run} of ${runs}: ${name}\n`);
        const measured = await measure(task);
        measured.ms *= objects / task.objects;
        measured.statements *= objects / task.objects;
        taken[name] = [...(taken[name] ?? []), measured];
      }
    }
    const medians = Object.fromEntries(
      Object.entries(taken).map(([name, all]) => [
        name,
        {
          ms: median(all.map(({ ms }) => ms)),
          peakMiB: median(all.map(({ peakMiB }) => peakMiB)),
          statements: median(all.map(({ statements }) => statements)),
        },
      ]),
    );
    const baselines: Record<string, string> = { save: 'one by one', load: 'raw load' };
    for (const [name, { ms, peakMiB, statements }] of Object.entries(medians)) {
      const baseline = medians[baselines[name] ?? ''];
      rows.push({
        what: name,
        objects,
        ms: Number(ms.toFixed(1)),
        'peak MiB above idle': Number(peakMiB.toFixed(0)),
        statements,
        'times the baseline': baseline === undefined ? '' : Number((ms / baseline.ms).toFixed(3)),
      });
    }
  }
} finally {
  await stack.stop();
}
const machine = `${hostname()}: ${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`;
if (options.json) {
  console.log(JSON.stringify({ machine, runs, rows }));
} else {
  console.log(`\n${machine}; median of ${runs}`);
  console.log(
    'save against one Drizzle upsert an object through the same client ("one by one"; measured with 1,000,',
  );
  console.log('scaled above); load against one plain SELECT of the same rows over TCP ("raw load")');
  console.table(rows);
}
