#!/usr/bin/env node
/**
 * `npm run bench:stream`: one world as NDJSON in both directions through the built Worker in workerd. Measures the time,
 * and how far the memory of the workerd process rises above its idle memory.
 */
import { readdir, readFile } from 'node:fs/promises';
import { cpus, hostname, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { ANY_PORTS, makeTemporaryDir, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import { ApiKeys } from '../src/access/api-keys.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { openPg } from '../src/postgres/pg.ts';
import { buildWorker, startWorkerd } from '../test/http/targets.ts';

const MIB = 2 ** 20;
const SAMPLE_MS = 5;
/** The part of an isolate's 128 MB that a stream may use. */
const PEAK_MIB_MAX = 96;
const NDJSON = 'application/x-ndjson';
const TENANT = 'bench-stream';
const AT = '/v1/spaces/large';

const { values: options } = parseArgs({
  options: {
    objects: { type: 'string', default: '100000' },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const objects = Number(options.objects);
const runs = Number(options.runs);

function makeLine(i: number): string {
  return `${JSON.stringify({
    kind: 'object',
    id: `object-${i}`,
    name: `Object ${i}`,
    parentId: i === 0 ? null : `object-${i >> 3}`,
    position: { x: Math.sin(i) * 1_000, y: i % 50, z: Math.cos(i) * 1_000 },
    rotation: { x: 0, y: Math.sin(i / 2), z: 0, w: Math.cos(i / 2) },
    scale: { x: 1, y: 1, z: 1 },
    properties: { kind: 'cube', colour: i % 16, tags: ['a', 'b'] },
  })}\n`;
}

/** The world in pieces of a thousand lines, each made when the reader takes it. */
function makeBody(): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        let text = '';
        for (const end = Math.min(at + 1_000, objects); at < end; at++) text += makeLine(at);
        if (text !== '') return controller.enqueue(encoder.encode(text));
        controller.enqueue(encoder.encode('{"kind":"end"}\n'));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** The one workerd that this process has started. */
async function findWorkerd(): Promise<number> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const status = await readFile(`/proc/${entry}/status`, 'utf8').catch(() => '');
    if (/^Name:\tworkerd$/m.test(status) && new RegExp(`^PPid:\t${process.pid}$`, 'm').test(status))
      return Number(entry);
  }
  throw new Error('there is no workerd that this process has started');
}

/** Resident memory now, in bytes. */
async function readRss(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

interface Measured {
  seconds: number;
  idleMiB: number;
  peakMiB: number;
  aboveIdleMiB: number;
}

async function measure(pid: number, work: () => Promise<void>): Promise<Measured> {
  const idle = await readRss(pid);
  let peak = idle;
  const timer = setInterval(() => {
    void readRss(pid).then((rss) => {
      peak = Math.max(peak, rss);
    });
  }, SAMPLE_MS);
  const startedAt = performance.now();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  // The samples can miss a short peak. The kernel's high-water mark does not, but it covers the process's whole life.
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const highWater = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  peak = Math.max(peak, highWater);
  return { seconds, idleMiB: idle / MIB, peakMiB: peak / MIB, aboveIdleMiB: (peak - idle) / MIB };
}

const stack = await startStack({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  ports: ANY_PORTS,
  log: (line) => process.stderr.write(`${line}\n`),
});
const built = await buildWorker();
const taken: Record<'PUT' | 'GET', Measured[]> = { PUT: [], GET: [] };
let bytes = 0;
try {
  const { migrationUrl, databaseUrl, databaseHttpUrl, redisRestUrl, redisRestToken } = stack.values;
  await migrate({ migrationUrl, appUrl: databaseUrl });
  const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: 30_000 });
  const keys = new ApiKeys(createApiKeyStore(postgres), { now: Date.now, cacheMs: 0 });
  const { secret } = await keys.issueFirst(TENANT, { scopes: ['read', 'write'] });
  await postgres.close();
  const env = {
    DATABASE_URL: databaseUrl,
    DATABASE_HTTP_URL: databaseHttpUrl,
    UPSTASH_REDIS_REST_URL: redisRestUrl,
    UPSTASH_REDIS_REST_TOKEN: redisRestToken,
    DATABASE_TIMEOUT_MS: '60000',
  };
  // Each run has its own workerd: a process seldom gives memory back, and the next run would seem to need none.
  for (let run = 1; run <= runs; run++)
    for (const method of ['PUT', 'GET'] as const) {
      const worker = await startWorkerd(built.path, env);
      try {
        const call = (path: string, init: RequestInit = {}) =>
          worker.fetch(path, { ...init, headers: { Authorization: `Bearer ${secret}`, ...init.headers } });
        const json = { 'Content-Type': 'application/json' };
        await call(AT, { method: 'PUT', headers: json, body: '{"name":"Large"}' });
        await call(`${AT}/state?include=users`, { headers: { Accept: NDJSON } }).then((r) => r.text());
        const pid = await findWorkerd();
        process.stderr.write(`${objects} objects, run ${run} of ${runs}: ${method}\n`);
        taken[method].push(
          await measure(pid, async () => {
            if (method === 'PUT') {
              const headers = { 'Content-Type': NDJSON };
              const answer = await call(`${AT}/state`, { method, headers, body: makeBody() });
              const saved = (await answer.json()) as { objects?: number };
              if (saved.objects !== objects)
                throw new Error(`PUT: ${answer.status} ${JSON.stringify(saved)}`);
              return;
            }
            const answer = await call(`${AT}/state`, { headers: { Accept: NDJSON } });
            let last: Uint8Array = new Uint8Array();
            bytes = 0;
            for await (const piece of answer.body ?? []) {
              bytes += piece.length;
              last = piece;
            }
            const end = new TextDecoder().decode(last).trimEnd().split('\n').at(-1) ?? '';
            if (!end.includes(`"kind":"end"`) || !end.includes(`"object":${objects}`))
              throw new Error(`GET: ${answer.status} ends with ${end.slice(0, 200)}`);
          }),
        );
      } finally {
        await worker.stop();
      }
    }
} finally {
  await built.remove();
  await stack.stop();
}

const rows = Object.entries(taken).map(([what, all]) => {
  const worst = all.reduce((a, b) => (b.aboveIdleMiB > a.aboveIdleMiB ? b : a));
  const round = (value: number) => Number(value.toFixed(1));
  return {
    what,
    objects,
    'seconds, median': round(all.map(({ seconds }) => seconds).sort((a, b) => a - b)[all.length >> 1] ?? 0),
    'idle MiB': round(worst.idleMiB),
    'peak MiB': round(worst.peakMiB),
    'peak MiB above idle, worst': round(worst.aboveIdleMiB),
    'at most': PEAK_MIB_MAX,
  };
});
const machine = `${hostname()}: ${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`;
if (options.json) {
  console.log(JSON.stringify({ machine, runs, bytes, rows, taken }));
} else {
  console.log(`\n${machine}; ${runs} runs; ${(bytes / MIB).toFixed(0)} MiB of NDJSON`);
  console.table(rows);
}
if (rows.some((row) => row['peak MiB above idle, worst'] > PEAK_MIB_MAX)) process.exitCode = 1;
