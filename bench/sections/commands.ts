import { askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { requireAll } from '../harness/load.ts';
import { listCommands } from '../harness/redis-commands.ts';
import { type Figure, format, formatParts } from '../harness/report.ts';
import { type SpaceSetting, withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { type StatementCounter, startStatementCounter } from '../harness/statement-counter.ts';
import { mean } from '../harness/statistics.ts';

const MILLION = 1e6;
/** The price of a command at Upstash: $0.20 for 100,000. */
const DOLLARS_PER_COMMAND = 0.2 / 100_000;
const NOT_PRICED =
  'at $0.20 per 100,000 commands of Redis; not priced: Worker requests and their CPU, Postgres (by compute time), bandwidth, QStash';

interface Counted {
  /** Commands outside scripts, by name. */
  commands: Record<string, number>;
  transactions: number;
  statements: number;
}

interface Measured {
  updates: Counted;
  quietReads: Counted;
  busyReads: Counted;
}

/** The Redis commands and Postgres statements of updates and reads, including all later work for them. */
export async function measureCommands(bench: Bench): Promise<Figure[]> {
  const { updatesPerSecond, readsPerSecond } = bench.sizes.commands;
  const stack = await bench.openStack();
  const counter = await startStatementCounter(stack.values.databaseHttpUrl);
  const counting: Bench = {
    ...bench,
    openStack: () => Promise.resolve({ ...stack, stop: () => Promise.resolve() }),
  };
  let taken: Measured[];
  try {
    taken = await withWorker(counting, { DATABASE_HTTP_URL: counter.url }, (setting) =>
      withSpace(setting, bench.sizes.hotObjects, (inSpace) =>
        repeat(bench, 'commands', (seed) => measureOnce(bench, inSpace, counter, seed)),
      ),
    );
  } finally {
    await counter.close();
    await stack.stop();
  }
  const flowing = `at ${format(updatesPerSecond)} updates/s`;
  return [
    ...describe(`commands for a million updates, ${flowing}`, taken, ({ updates }) => updates),
    ...describe(
      'commands for a million reads of a state, without other work',
      taken,
      ({ quietReads }) => quietReads,
    ),
    ...describe(
      `commands for a million reads of a state, ${format(readsPerSecond)} a second ${flowing}`,
      taken,
      ({ busyReads }) => busyReads,
    ),
  ];
}

function describe(section: string, taken: readonly Measured[], of: (run: Measured) => Counted): Figure[] {
  const counted = taken.map(of);
  const names = [...new Set(counted.flatMap(({ commands }) => Object.keys(commands)))];
  const parts = names.map((name) => [name, mean(counted.map(({ commands }) => commands[name] ?? 0))]);
  const totals = counted.map(({ commands }) => Object.values(commands).reduce((a, b) => a + b, 0));
  return [
    {
      section,
      what: 'Redis commands',
      unit: 'top level',
      values: totals,
      note: `by MONITOR: ${formatParts(Object.fromEntries(parts))}`,
    },
    { section, what: 'Postgres statements', unit: 'in all', values: counted.map((run) => run.statements) },
    {
      section,
      what: 'Postgres transactions',
      unit: 'in all',
      values: counted.map((run) => run.transactions),
    },
    {
      section,
      what: 'list price',
      unit: '$',
      values: totals.map((total) => total * DOLLARS_PER_COMMAND),
      note: NOT_PRICED,
    },
  ];
}

async function measureOnce(
  { sizes }: Bench,
  inSpace: SpaceSetting,
  counter: StatementCounter,
  seed: number,
): Promise<Measured> {
  const { opsPerRequest, connections } = sizes;
  const { seconds, updatesPerSecond, readsPerSecond } = sizes.commands;
  const { watch, worker, space } = inSpace;
  const asker = await openAsker({ url: worker.url, headers: space.headers });
  const read = async (reads: number, perSecond: number) => {
    const asks = Array.from({ length: reads }, () => ({ method: 'GET', path: `${space.path}/state` }));
    await askAll(asker, { asks, connections, requestsPerSecond: perSecond });
  };
  try {
    return await withLoad(inSpace, { opsPerRequest, seed }, async (load) => {
      const write = async (forSeconds: number) => {
        const requestsPerSecond = updatesPerSecond / opsPerRequest;
        const requests = Math.ceil(forSeconds * requestsPerSecond);
        requireAll(await load.run({ connections, seconds: null, requests, requestsPerSecond }), 202);
        await watch.waitUntilDrained();
      };
      await Promise.all([write(1), read(1, readsPerSecond)]);
      const reads = Math.ceil(seconds * readsPerSecond);
      const updates = seconds * updatesPerSecond;
      const ofWrites = await count(inSpace, counter, () => write(seconds));
      const ofReads = await count(inSpace, counter, () => read(reads, readsPerSecond));
      const ofBoth = await count(inSpace, counter, async () => {
        await Promise.all([write(seconds), read(reads, readsPerSecond)]);
      });
      return {
        updates: scale(ofWrites, MILLION / updates),
        quietReads: scale(ofReads, MILLION / reads),
        busyReads: scale(subtract(ofBoth, ofWrites), MILLION / reads),
      };
    });
  } finally {
    await asker.close();
  }
}

async function count(
  { watch }: SpaceSetting,
  counter: StatementCounter,
  work: () => Promise<void>,
): Promise<Counted> {
  const before = counter.read();
  const names = await listCommands(watch.redis, work);
  const after = counter.read();
  const commands: Record<string, number> = {};
  for (const name of names) commands[name] = (commands[name] ?? 0) + 1;
  return {
    commands,
    transactions: after.transactions - before.transactions,
    statements: after.statements - before.statements,
  };
}

function scale({ commands, transactions, statements }: Counted, factor: number): Counted {
  return {
    commands: Object.fromEntries(Object.entries(commands).map(([name, value]) => [name, value * factor])),
    transactions: transactions * factor,
    statements: statements * factor,
  };
}

/** The part that the reads add. Never below 0, although drains of two runs have different batches. */
function subtract(all: Counted, part: Counted): Counted {
  const left = (a: number, b: number) => Math.max(0, a - b);
  return {
    commands: Object.fromEntries(
      Object.entries(all.commands).map(([name, value]) => [name, left(value, part.commands[name] ?? 0)]),
    ),
    transactions: left(all.transactions, part.transactions),
    statements: left(all.statements, part.statements),
  };
}
