#!/usr/bin/env node
/**
 * `npm run bench:page`: how long the page at / takes for each picture of a world that others change, in Chromium. Another client moves
 * 2,000 objects five times a second. The graphics card is none of the measured parts: without one, the browser draws in another process.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { buildAssets } from '../dev/build-assets.ts';
import { issueKey } from '../dev/first-world.ts';
import { ANY_PORTS, makeTemporaryDir, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import { launchBrowser } from '../test/browser.ts';
import { startNodeServer } from './harness/node-server.ts';
import { percentile } from './harness/statistics.ts';

const ASSETS = resolve(import.meta.dirname, '../dist/assets');
const VIEWPORT = { width: 480, height: 320 };
const MOVED = 2_000;
const MOVES_PER_SECOND = 5;
/** Objects in one request: the server takes no more. */
const COLUMNS_MAX = 1_000;
const FRAMES_MIN = 100;
const MEASURE_MS_MIN = 10_000;
const MEASURE_MS_MAX = 90_000;
const WARM_UP_FRAMES = 30;

const { values: options } = parseArgs({
  options: {
    objects: { type: 'string', default: '2000,20000' },
    json: { type: 'boolean', default: false },
  },
});

interface Frame {
  updateMs: number;
  renderMs: number;
  drawCalls: number;
}

/** The globals of the page that a measurement needs. */
interface PageGlobals {
  worldkeep: { stage: { frames: Frame[]; onDrawn(listener: () => void): void } };
  taken: Frame[];
}

const say = (line: string) => process.stderr.write(`${line}\n`);
const round = (value: number) => Math.round(value * 100) / 100;

function makeClient(url: string, key: string) {
  return async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  };
}

type Call = ReturnType<typeof makeClient>;

/** A grid of boxes, two metres apart. */
function placeOf(i: number, count: number): { x: number; y: number; z: number } {
  const side = Math.ceil(Math.sqrt(count));
  return { x: (i % side) * 2, y: 0.5, z: Math.floor(i / side) * 2 };
}

/** Moves objects until it is stopped. @returns a function that stops it and says how often it moved them */
function startMoves(call: Call, space: string, count: number): () => Promise<number> {
  let isEnded = false;
  let turns = 0;
  const run = async () => {
    const startedMs = performance.now();
    while (!isEnded) {
      turns++;
      for (let from = 0; from < Math.min(MOVED, count); from += COLUMNS_MAX) {
        const ids = Array.from({ length: COLUMNS_MAX }, (_, i) => `o${from + i}`);
        const position = ids.flatMap((_, i) => {
          const { x, z } = placeOf(from + i, count);
          return [x + Math.sin(turns + i), 0.5 + (turns % 2), z + Math.cos(turns + i)];
        });
        await call('POST', `/v1/spaces/${space}/updates`, { ops: [{ op: 'move', ids, position }] });
      }
      await delay(Math.max(0, startedMs + (turns * 1_000) / MOVES_PER_SECOND - performance.now()));
    }
    return performance.now() - startedMs;
  };
  const running = run();
  // The caller of stop() gets the error.
  running.catch(() => undefined);
  return async () => {
    isEnded = true;
    return (turns * 1_000) / (await running);
  };
}

/** @returns milliseconds since the page was opened, when it has this mark */
async function waitForMark(page: Page, mark: string): Promise<number> {
  const found = await page.waitForFunction(
    (name) => performance.getEntriesByName(`worldkeep:${name}`)[0]?.startTime,
    mark,
    { timeout: 120_000 },
  );
  return (await found.jsonValue()) ?? 0;
}

/** Waits for frames that are newer than all before. The page keeps the newest 600. */
async function collectFrames(page: Page): Promise<Frame[]> {
  const frames: Frame[] = [];
  await page.evaluate(() => {
    const globals = globalThis as unknown as PageGlobals;
    const { stage } = globals.worldkeep;
    globals.taken = [];
    stage.onDrawn(() => globals.taken.push(...stage.frames.slice(-1)));
  });
  const startedMs = performance.now();
  let sinceMs = 0;
  for (let isWarm = false; ; ) {
    await delay(500);
    const taken = await page.evaluate(() => (globalThis as unknown as PageGlobals).taken.splice(0));
    if (!isWarm) {
      frames.push(...taken);
      isWarm = frames.length >= WARM_UP_FRAMES;
      if (isWarm) {
        frames.length = 0;
        sinceMs = performance.now();
      }
    } else {
      frames.push(...taken);
      if (frames.length >= FRAMES_MIN && performance.now() - sinceMs >= MEASURE_MS_MIN) return frames;
    }
    if (performance.now() - startedMs > MEASURE_MS_MAX)
      throw new Error(`The page drew ${frames.length} pictures in ${MEASURE_MS_MAX / 1_000} s.`);
  }
}

async function measure(browser: Browser, url: string, key: string, count: number) {
  const call = makeClient(url, key);
  const space = `page-${count}`;
  say(`${count} objects: filling the world`);
  await call('PUT', `/v1/spaces/${space}`, { name: `${count} objects` });
  const objects = Array.from({ length: count }, (_, i) => ({
    id: `o${i}`,
    position: placeOf(i, count),
    properties: { shape: 'box' },
  }));
  await call('PUT', `/v1/spaces/${space}/state?mode=merge`, { objects });
  await call('PUT', '/v1/users/ann', { displayName: 'Ann' });
  const { token } = await call('POST', '/v1/sessions', { userId: 'ann', spaceId: space, role: 'editor' });
  const context = await browser.newContext({ viewport: VIEWPORT });
  const page = await context.newPage();
  page.on('pageerror', (error) => say(`uncaught in the page: ${error.message}`));
  say(`${count} objects: opening the page`);
  await page.goto(`${url}/#${new URLSearchParams({ space, token: String(token) })}`);
  const drawnMs = await waitForMark(page, 'drawn');
  const loadedMs = await waitForMark(page, 'loaded');
  say(`${count} objects: moving ${MOVED} of them ${MOVES_PER_SECOND} times a second`);
  const stop = startMoves(call, space, count);
  const frames = await collectFrames(page);
  const movesPerSecond = await stop();
  await context.close();
  const describe = (values: number[]) => ({
    p50: round(percentile(values, 50)),
    p95: round(percentile(values, 95)),
  });
  return {
    objects: count,
    loadedMs: Math.round(loadedMs),
    drawnMs: Math.round(drawnMs),
    movesPerSecond: round(movesPerSecond),
    frames: frames.length,
    drawCalls: frames.at(-1)?.drawCalls ?? 0,
    updateMs: describe(frames.map(({ updateMs }) => updateMs)),
    renderMs: describe(frames.map(({ renderMs }) => renderMs)),
    sumMs: describe(frames.map(({ updateMs, renderMs }) => updateMs + renderMs)),
  };
}

/** The files that a browser loads for the page. */
function readSizes() {
  return ['index.html', ...readLinked()].map((name) => {
    const bytes = readFileSync(join(ASSETS, name));
    return { name, bytes: bytes.length, gzipBytes: gzipSync(bytes, { level: 9 }).length };
  });
}

/** The newest build's files. Files of earlier builds stay in the folder for a while. */
function readLinked(): string[] {
  const page = readFileSync(join(ASSETS, 'index.html'), 'utf8');
  return readdirSync(join(ASSETS, 'page'))
    .map((name) => `page/${name}`)
    .filter((name) => page.includes(name));
}

await buildAssets();
const stack = await startStack({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  ports: ANY_PORTS,
  log: say,
});
const browser = await launchBrowser();
try {
  const { migrationUrl, databaseUrl } = stack.values;
  await migrate({ migrationUrl, appUrl: databaseUrl });
  const key = await issueKey(databaseUrl, 'bench-page');
  const server = await startNodeServer(stack.values);
  try {
    const runs = [];
    for (const count of options.objects.split(',').map(Number))
      runs.push(await measure(browser, server.url, key, count));
    const sizes = readSizes();
    if (options.json) console.log(JSON.stringify({ cpu: cpus()[0]?.model, runs, sizes }, null, 2));
    else {
      for (const { updateMs, renderMs, sumMs, ...rest } of runs)
        console.table({
          ...rest,
          'update p50 ms': updateMs.p50,
          'update p95 ms': updateMs.p95,
          'render p50 ms': renderMs.p50,
          'render p95 ms': renderMs.p95,
          'sum p50 ms': sumMs.p50,
          'sum p95 ms': sumMs.p95,
        });
      console.table(sizes);
    }
  } finally {
    await server.stop();
  }
} finally {
  await browser.close();
  await stack.stop();
}
