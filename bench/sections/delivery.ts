import { setTimeout as delay } from 'node:timers/promises';
import { DURABLE_OBJECT, startDurableWorld } from '../baselines/durable-object-world.ts';
import { type Ask, type AskTarget, askAll, openAsker, SENT_AT } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { nameObject, placeObject } from '../harness/operations.ts';
import { measureCpu, type Processes } from '../harness/processes.ts';
import { type Figure, format, formatParts } from '../harness/report.ts';
import { withSpace, withWorker } from '../harness/setting.ts';
import { percentile } from '../harness/statistics.ts';
import { openSubscribers } from '../harness/subscribers.ts';

/** Time for the last event to arrive. */
const REST_MS = 1_000;
const POLL_MS = 20;
const DUE = { one: { p50: 5, p99: 20 }, many: { p50: 15, p99: 60 } } as const;

interface Audience {
  subscribers: number;
  requestsPerSecond: number;
  opsPerRequest: number;
}

interface Measured {
  p50: number;
  p99: number;
  cpu: Record<string, number>;
}

/** Measures from just before an update is sent until a client that follows the space has read its event. */
export async function measureDelivery(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of ['one', 'many'] as const) {
    const audience = bench.sizes.delivery[name];
    const { subscribers, requestsPerSecond, opsPerRequest } = audience;
    const own = await measureOwn(bench, audience);
    const baseline = await measureDurableObject(bench, audience);
    const section = `delivery to ${format(subscribers)} ${subscribers === 1 ? 'subscriber' : 'subscribers'}, ${format(requestsPerSecond)} requests/s of ${opsPerRequest} updates`;
    for (const rank of ['p50', 'p99'] as const) {
      const measure = `ms until ${name} heard, ${rank}` as const;
      figures.push(
        {
          section,
          what: rank,
          unit: 'ms',
          measure,
          values: own.map((run) => run[rank]),
          due: { atMost: DUE[name][rank] },
          ...(rank === 'p50' && { note: `CPU, last run: ${formatParts(own.at(-1)?.cpu ?? {})} s` }),
        },
        {
          section,
          what: `${DURABLE_OBJECT}, ${rank}`,
          unit: 'ms',
          measure,
          baseline: DURABLE_OBJECT,
          values: baseline.map((run) => run[rank]),
          ...(rank === 'p50' && { note: 'over server-sent events too, told when it is durable' }),
        },
      );
    }
  }
  return figures;
}

function measureOwn(bench: Bench, audience: Audience): Promise<Measured[]> {
  return withWorker(bench, {}, (setting) =>
    repeat(bench, `delivery to ${audience.subscribers}`, () =>
      // With its own key: the streams of the last run may still count, and a key may open only so many.
      withSpace(setting, bench.sizes.hotObjects, ({ worker, space, processes }) =>
        measureOnce(bench, audience, {
          target: { url: worker.url, headers: space.headers },
          paths: { updates: `${space.path}/updates`, stream: `${space.path}/stream` },
          processes,
        }),
      ),
    ),
  );
}

function measureDurableObject(bench: Bench, audience: Audience): Promise<Measured[]> {
  return repeat(bench, `delivery to ${audience.subscribers} by ${DURABLE_OBJECT}`, async () => {
    const worker = await startDurableWorld(bench.sizes.hotObjects);
    try {
      return await measureOnce(bench, audience, {
        target: { url: worker.url, headers: {} },
        paths: { updates: '/', stream: '/stream' },
        processes: { workerd: worker.pid },
      });
    } finally {
      await worker.stop();
    }
  });
}

interface Place {
  target: AskTarget;
  paths: { updates: string; stream: string };
  processes: Processes;
}

async function measureOnce(
  { sizes }: Bench,
  audience: Audience,
  { target, paths, processes }: Place,
): Promise<Measured> {
  const { subscribers, requestsPerSecond } = audience;
  const { warmUpSeconds, seconds } = sizes.delivery;
  const asker = await openAsker(target);
  try {
    const following = await openSubscribers({ ...target, url: `${target.url}${paths.stream}`, subscribers });
    try {
      const send = async (forSeconds: number) => {
        const asks = makeAsks(paths.updates, audience, {
          requests: Math.ceil(forSeconds * requestsPerSecond),
          objects: sizes.hotObjects,
        });
        await askAll(asker, { asks, connections: sizes.connections, requestsPerSecond }, [202]);
        return hear(asks.length);
      };
      const hear = async (requests: number) => {
        const latenciesMs: number[] = [];
        for (const startedAt = performance.now(); ; await delay(POLL_MS)) {
          const heard = await following.take();
          latenciesMs.push(...heard.latenciesMs);
          if (heard.ended > 0) throw new Error(`${heard.ended} streams ended`);
          if (latenciesMs.length === requests * subscribers) return latenciesMs;
          if (performance.now() - startedAt > REST_MS)
            throw new Error(`${latenciesMs.length} of ${requests * subscribers} events were heard`);
        }
      };
      await send(warmUpSeconds);
      const all = { ...processes, sender: asker.pid, subscribers: following.pid };
      const { result, seconds: cpu } = await measureCpu(all, () => send(seconds));
      return { p50: percentile(result, 50), p99: percentile(result, 99), cpu };
    } finally {
      await following.close();
    }
  } finally {
    await asker.close();
  }
}

function makeAsks(
  path: string,
  { opsPerRequest }: Audience,
  { requests, objects }: { requests: number; objects: number },
): Ask[] {
  let next = 0;
  return Array.from({ length: requests }, () => {
    const ops = Array.from({ length: opsPerRequest }, (_, i) => {
      const at = next++ % objects;
      const { x, y, z } = placeObject(at, objects);
      const properties = i === 0 ? `,"properties":{"sentAt":${SENT_AT}}` : '';
      const position = `{"x":${x + (next % 100) / 100},"y":${y},"z":${z}}`;
      return `{"op":"patch","id":"${nameObject(at)}","position":${position}${properties}}`;
    });
    return {
      method: 'POST',
      path,
      body: `{"ops":[${ops.join(',')}]}`,
      headers: { 'Content-Type': 'application/json' },
    };
  });
}
