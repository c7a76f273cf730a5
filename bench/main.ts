#!/usr/bin/env node
/** `npm run bench`: the cost of the log, its drain and their durability, compared with baselines of the same run. */
import { parseArgs } from 'node:util';
import { type Bench, FULL_SIZES, type Runtime, type Sizes } from './harness/bench.ts';
import { startNodeServer } from './harness/node-server.ts';
import { buildRows, describeMachine, type Figure, formatRatios, formatRows } from './harness/report.ts';
import { startBenchStack } from './harness/stack.ts';
import { buildWorker, startWorker } from './harness/worker.ts';
import { BASELINES, SECTIONS } from './sections.ts';

const USAGE = `npm run bench -- [section …] [--runs N] [--seconds N] [--kills N] [--json]

Runs the functions against real stores, the load coming from a process of its own. Sections, all by default:
${SECTIONS.map(({ name, what }) => `  ${name.padEnd(16)}${what}`).join('\n')}

  \`drain\` is both of its sections, \`baselines\` all three.

  --runtime R  worker (default): the built Worker in workerd, with HTTP drivers and emulators
               node: what npm start runs, with Postgres and Redis over TCP; both: one after the other
  --runs N     how often each is measured, default ${FULL_SIZES.runs}; what is shown is the median
  --seconds N  how long "both" lasts, default ${FULL_SIZES.both.seconds}
  --kills N    how often the Worker is killed in "crash", default ${FULL_SIZES.crash.kills}
  --profile    tells on stderr where the Worker's time goes; the figures of such a run do not count
  --json       every value of every run as one JSON document on stdout
`;

/** `drain` is short for both drain sections, and `baselines` for all three baselines. */
function isAskedFor(name: string, asked: readonly string[]): boolean {
  return asked.some(
    (word) =>
      word === name ||
      (word === 'drain' && name.startsWith('drain-')) ||
      (word === 'baselines' && BASELINES.has(name)),
  );
}

interface Options {
  sections: typeof SECTIONS;
  runtimes: readonly Runtime[];
  sizes: Sizes;
  profile: boolean;
  json: boolean;
}

const RUNTIMES = { worker: ['worker'], node: ['node'], both: ['worker', 'node'] } as const;

function readOptions(): Options {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        runtime: { type: 'string', default: 'worker' },
        runs: { type: 'string', default: String(FULL_SIZES.runs) },
        seconds: { type: 'string', default: String(FULL_SIZES.both.seconds) },
        kills: { type: 'string', default: String(FULL_SIZES.crash.kills) },
        profile: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const [runs, seconds, kills] = (['runs', 'seconds', 'kills'] as const).map((name) => {
      const number = Number(values[name]);
      if (Number.isInteger(number) && number > 0) return number;
      throw new Error(`--${name} must be a whole number above 0, not ${values[name]}`);
    }) as [number, number, number];
    for (const name of positionals)
      if (!SECTIONS.some((section) => isAskedFor(section.name, [name])))
        throw new Error(`there is no section ${name}`);
    const { runtime } = values;
    if (!(runtime in RUNTIMES)) throw new Error(`--runtime must be worker, node or both, not ${runtime}`);
    return {
      runtimes: RUNTIMES[runtime as keyof typeof RUNTIMES],
      sections: SECTIONS.filter(({ name }) => positionals.length === 0 || isAskedFor(name, positionals)),
      sizes: {
        ...FULL_SIZES,
        runs,
        both: { ...FULL_SIZES.both, seconds },
        crash: { ...FULL_SIZES.crash, kills },
      },
      profile: values.profile,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { sections, runtimes, sizes, profile, json } = readOptions();
// All child processes end with this process: by its exit handlers, or because their channel to it closes.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
const tell = (line: string) => void process.stderr.write(`${line}\n`);
tell('building the Worker');
const built = await buildWorker();
let machine = '';
const makeBench = (runtime: Runtime): Bench => ({
  sizes,
  runtime,
  workerPath: built.path,
  profile,
  tell,
  startServer: (values, changes) =>
    runtime === 'node'
      ? startNodeServer(values, changes)
      : startWorker(built.path, values, changes, { inspector: profile }),
  async openStack() {
    const stack = await startBenchStack();
    machine ||= await describeMachine(stack.values);
    return stack;
  },
});
const figures: Figure[] = [];
try {
  const baselines = sections.filter(({ name }) => BASELINES.has(name));
  const ours = sections.filter(({ name }) => !BASELINES.has(name));
  const steps = [
    ...baselines.map((section) => ({ ...section, runtime: 'worker' as Runtime })),
    ...runtimes.flatMap((runtime) => ours.map((section) => ({ ...section, runtime }))),
  ];
  for (const [i, { name, measure, runtime }] of steps.entries()) {
    tell(`section ${i + 1} of ${steps.length}: ${name}${runtime === 'node' ? ', on Node' : ''}`);
    for (const figure of await measure(makeBench(runtime)))
      figures.push(runtime === 'node' ? { ...figure, section: `Node: ${figure.section}` } : figure);
  }
  machine ||= await makeBench('worker')
    .openStack()
    .then(async (stack) => {
      await stack.stop();
      return machine;
    });
} finally {
  built.remove();
}
const rows = buildRows(figures);
if (json) console.log(JSON.stringify({ machine, sizes, rows }));
else {
  console.log(`${machine}`);
  console.log(
    `Median of ${sizes.runs} runs (least to most). ${sizes.opsPerRequest} updates a request; rate limits off.\n`,
  );
  console.log(formatRows(rows));
  if (rows.some(({ ratios }) => Object.keys(ratios).length > 0)) console.log(`\n${formatRatios(rows)}`);
}
if (rows.some(({ isMet, isPromise }) => isPromise && isMet === false)) process.exitCode = 1;
