import { expect, it } from 'vitest';
import { buildWorkerOnce, makeEnv, startWorkerd, type Target } from '../../test/http/targets.ts';
import { type HistoryOutcome, runHistory } from './testing/histories.ts';
import { makePlace } from './testing/place.ts';

/** `HISTORIES=1000` runs more. */
const HISTORIES = Number(process.env.HISTORIES ?? 100);
/** Histories that run at the same time. Most of their time is waiting. */
const LANES = 16;
/** Histories after which the Worker is killed. The others meet a server that is away. */
const KILL_EVERY = 40;
/** `SEED=17` runs only that history, again and again the same. */
const seeds =
  process.env.SEED === undefined
    ? Array.from({ length: HISTORIES }, (_, i) => i + 1)
    : [Number(process.env.SEED)];

it(`${HISTORIES} random histories of clients end with the state of the server`, async () => {
  const workerPath = await buildWorkerOnce();
  const start = () => startWorkerd(workerPath, makeEnv({ STREAM_HEARTBEAT_SECONDS: '1' }));
  let worker: Target = await start();
  let kills = 0;
  async function kill(): Promise<void> {
    kills++;
    await worker.stop();
    worker = await start();
  }
  // The Worker may be killed at any time, so a request of the test itself may meet no server, or one that cannot answer yet.
  const target = {
    fetch: async (path: string, init?: RequestInit): Promise<Response> => {
      for (let attempt = 0; ; attempt++) {
        try {
          const response = await worker.fetch(path, init);
          const text = await response.text();
          if (response.status === 503) throw new Error(text);
          return new Response(text === '' ? null : text, response);
        } catch (error) {
          if (attempt > 100) throw error;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
    get address() {
      return worker.address;
    },
  };
  const readUrl = () => `http://${worker.address?.host}:${worker.address?.port}`;
  const outcomes: (HistoryOutcome & { seed: number })[] = [];
  const { key } = await makePlace(target);
  const queue = [...seeds];
  let killing: Promise<void> = Promise.resolve();
  async function runLane(): Promise<void> {
    for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
      const outcome = await runHistory(seed, await makePlace(target, key), readUrl);
      outcomes.push({ seed, ...outcome });
      if (outcome.difference !== null) console.log(`SEED=${seed}: ${outcome.difference}`);
      if (outcomes.length % KILL_EVERY === KILL_EVERY / 2) killing = killing.then(kill);
      if (outcomes.length % 100 === 0) console.log(`${outcomes.length} of ${seeds.length} histories`);
    }
  }
  try {
    await Promise.all(Array.from({ length: LANES }, runLane));
  } finally {
    await killing;
    await worker.stop();
  }
  const faults: Record<string, number> = { 'Worker killed': kills };
  for (const { faults: met } of outcomes)
    for (const [name, count] of Object.entries(met)) faults[name] = (faults[name] ?? 0) + count;
  const operations = outcomes.reduce((sum, outcome) => sum + outcome.operations, 0);
  console.log(`${outcomes.length} histories, ${operations} operations, faults ${JSON.stringify(faults)}`);
  expect(outcomes.filter(({ difference }) => difference !== null).map(({ seed }) => seed)).toEqual([]);
  expect(outcomes).toHaveLength(seeds.length);
  if (seeds.length > 1)
    for (const name of Object.keys(faults)) expect([name, faults[name]]).not.toEqual([name, 0]);
}, 1_800_000);
