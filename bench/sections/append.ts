import { DURABLE_OBJECT_RATE } from '../baselines/durable-object.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { holdDrains } from '../harness/hold-drains.ts';
import { type Load, requireAll } from '../harness/load.ts';
import type { MoveForm } from '../harness/operations.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { profileWorker } from '../harness/profile.ts';
import { countScriptCalls, listCommands, readScriptMicroseconds } from '../harness/redis-commands.ts';
import { describeCpu, type Figure, format } from '../harness/report.ts';
import { type SpaceSetting, withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { mean, median } from '../harness/statistics.ts';
import { ANY_BACKLOG } from '../harness/worker.ts';

const COMMANDS_MAX = 1;
/** The section looks at the commands of so many requests one by one. */
const WATCHED_REQUESTS = 100;

interface Measured {
  updatesPerSecond: number;
  updates: number;
  p99Ms: number;
  /** Script calls per request, at saturation. */
  scriptCalls: number;
  scriptMicroseconds: number;
  /** All commands per request, over {@link WATCHED_REQUESTS}. */
  commands: number;
  seconds: CpuTaken;
}

/** Updates accepted at saturation, while nothing drains. */
export async function measureAppend(bench: Bench): Promise<Figure[]> {
  const asConfigured = await measureWith(bench, 'append', 'patch');
  const asMoves = await measureWith(bench, 'append, moves', 'move');
  const shared = { section: 'append', unit: 'updates/s accepted', measure: 'updates/s' } as const;
  const p99 = format(median(asConfigured.map(({ p99Ms }) => p99Ms)));
  const inRedis = format(mean(asConfigured.map(({ scriptMicroseconds }) => scriptMicroseconds)));
  return [
    {
      ...shared,
      what: 'patches at saturation, nothing draining',
      values: asConfigured.map(({ updatesPerSecond }) => updatesPerSecond),
      due: { ratio: DURABLE_OBJECT_RATE, atLeast: 1.2 },
      note: `${bench.sizes.connections} connections; p99 of a request ${p99} ms; ${inRedis} µs in Redis a script. ${describeCpu(asConfigured)}`,
    },
    {
      ...shared,
      measure: 'updates/s, moves',
      what: 'moves at saturation, nothing draining',
      values: asMoves.map(({ updatesPerSecond }) => updatesPerSecond),
      due: { ratio: DURABLE_OBJECT_RATE, atLeast: 1.2 },
      note: describeCpu(asMoves),
    },
    {
      section: 'append',
      what: 'moves in place of patches',
      unit: 'times the updates/s',
      values: asMoves.map(
        (run, i) => run.updatesPerSecond / (asConfigured[i]?.updatesPerSecond ?? Number.NaN),
      ),
      due: { atLeast: 1.4 },
    },
    {
      section: 'append',
      what: 'script calls in Redis, at saturation',
      unit: 'a request',
      values: asConfigured.map(({ scriptCalls }) => scriptCalls),
      due: { atMost: COMMANDS_MAX },
      isPromise: true,
    },
    {
      section: 'append',
      what: 'all commands in Redis',
      unit: 'a request',
      values: asConfigured.map(({ commands }) => commands),
      due: { atMost: COMMANDS_MAX },
      isPromise: true,
      note: `over ${WATCHED_REQUESTS} requests, by MONITOR; those inside a script are part of it`,
    },
  ];
}

async function measureWith(bench: Bench, name: string, form: MoveForm): Promise<Measured[]> {
  // The server's own event about the new space would come in between.
  const variables = { ...ANY_BACKLOG, ANALYTICS_ENABLED: 'false' };
  return withWorker(bench, variables, (setting) =>
    repeat(bench, name, (run) =>
      withSpace(setting, bench.sizes.hotObjects, (inSpace) =>
        withLoad(inSpace, { opsPerRequest: bench.sizes.opsPerRequest, seed: run, form }, (load) =>
          measureOnce(bench, inSpace, load),
        ),
      ),
    ),
  );
}

async function measureOnce({ sizes, tell }: Bench, setting: SpaceSetting, load: Load): Promise<Measured> {
  const { stack, worker, space, watch, processes } = setting;
  const { redis } = watch;
  const phase = { connections: sizes.connections, seconds: null, requests: null, requestsPerSecond: null };
  // Redis must know the log before drains can be held.
  requireAll(await load.run({ ...phase, requests: 1 }), 202);
  await watch.waitUntilDrained();
  const held = await holdDrains(stack.values, space.address);
  try {
    requireAll(await load.run({ ...phase, seconds: sizes.append.warmUpSeconds }), 202);
    const commands = await listCommands(redis, async () => {
      requireAll(await load.run({ ...phase, requests: WATCHED_REQUESTS }), 202);
    });
    const heldBefore = await held.pauseFor(async () => {
      await redis.config('RESETSTAT');
      return held.commands();
    });
    const { result, seconds } = await measureCpu({ ...processes, load: load.pid }, () =>
      profileWorker(worker, tell, () => load.run({ ...phase, seconds: sizes.append.seconds })),
    );
    requireAll(result, 202);
    const calls = await held.pauseFor(
      async () => (await countScriptCalls(redis)) - (held.commands() - heldBefore),
    );
    return {
      updatesPerSecond: result.accepted / result.seconds,
      updates: result.accepted,
      p99Ms: result.latencyMs.p99,
      seconds,
      scriptCalls: calls / result.requests,
      scriptMicroseconds: await readScriptMicroseconds(redis),
      commands: commands.length / WATCHED_REQUESTS,
    };
  } finally {
    await held.release();
  }
}
