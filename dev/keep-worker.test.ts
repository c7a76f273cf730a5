import { expect, it } from 'vitest';
import { keepWorker, type Mortal, RESTARTS_MAX } from './keep-worker.ts';

/** Workers that die when the test says so. */
function makeWorkers() {
  const deaths: ((how: string) => void)[] = [];
  const killed: number[] = [];
  const start = async () => {
    const { promise: died, resolve } = Promise.withResolvers<string>();
    const n = deaths.push(resolve);
    const worker: Mortal & { n: number } = {
      n,
      died,
      stop: async () => resolve('stopped'),
      kill: async () => void killed.push(n),
    };
    return worker;
  };
  return { start, deaths, killed };
}

type Workers = Omit<ReturnType<typeof makeWorkers>, 'start'> & {
  start(signal: AbortSignal): Promise<Mortal & { n: number }>;
};

async function keep(workers: Workers = makeWorkers()) {
  let nowMs = 0;
  const lines: string[] = [];
  const running: (number | null)[] = [];
  const kept = await keepWorker({
    start: workers.start,
    onChange: (worker) => running.push(worker?.n ?? null),
    log: (line) => lines.push(line),
    now: () => nowMs,
  });
  const die = async (n: number) => {
    workers.deaths[n - 1]?.('signal SIGKILL');
    await expect.poll(() => running.at(-1), { interval: 1 }).not.toBe(n);
  };
  const isRunning = (n: number) => expect.poll(() => running.at(-1), { interval: 1 }).toBe(n);
  const passTime = (ms: number) => {
    nowMs += ms;
  };
  return { ...workers, kept, lines, running, die, isRunning, passTime };
}

it('reports a Worker that dies, kills what is left of it, and starts another', async () => {
  const { kept, killed, lines, running, die, isRunning } = await keep();
  await die(1);
  await isRunning(2);
  expect(running).toEqual([1, null, 2]);
  expect(killed).toEqual([1]);
  expect(lines).toEqual(['the Worker died (signal SIGKILL): restarting it', 'the Worker answers again']);
  await kept.stop();
  expect(await kept.ended).toBe('The Worker ended (stopped)');
});

it('gives up with a sentence when the Worker dies too often within a minute', async () => {
  const { kept, deaths, die, isRunning, passTime } = await keep();
  for (let n = 1; n <= RESTARTS_MAX; n++) {
    await die(n);
    await isRunning(n + 1);
    passTime(10_000);
  }
  await die(RESTARTS_MAX + 1);
  expect(await kept.ended).toBe('The Worker died (signal SIGKILL) after 3 restarts within 60 s');
  expect(deaths).toHaveLength(RESTARTS_MAX + 1);
});

it('goes on restarting a Worker that dies now and then', async () => {
  const { kept, die, isRunning, passTime } = await keep();
  for (let n = 1; n <= 2 * RESTARTS_MAX; n++) {
    await die(n);
    await isRunning(n + 1);
    passTime(30_000);
  }
  await kept.stop();
});

it('gives up with its reason when a restart fails', async () => {
  const { kept, deaths } = await keep({
    ...makeWorkers(),
    ...(() => {
      const workers = makeWorkers();
      let starts = 0;
      return {
        ...workers,
        start: () => (++starts === 1 ? workers.start() : Promise.reject(new Error('it does not build'))),
      };
    })(),
  });
  deaths[0]?.('signal SIGKILL');
  expect(await kept.ended).toBe('it does not build');
});

it('stops without waiting for a restart that is under way', async () => {
  const workers = makeWorkers();
  let starts = 0;
  const { kept, deaths } = await keep({
    ...workers,
    start: (signal: AbortSignal) =>
      ++starts === 1
        ? workers.start()
        : new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('it was stopped')));
          }),
  });
  deaths[0]?.('signal SIGKILL');
  await expect.poll(() => starts, { interval: 1 }).toBe(2);
  await kept.stop();
  expect(await kept.ended).toBe('it was stopped');
});
