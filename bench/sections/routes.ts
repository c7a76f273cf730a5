import { type Ask, type Asker, askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { nameObject } from '../harness/operations.ts';
import { type Figure, format } from '../harness/report.ts';
import { type SpaceSetting, withSpace, withWorker } from '../harness/setting.ts';
import { mean, median } from '../harness/statistics.ts';

const MEAN_MS_MAX = 50;
const WARM_UP_REQUESTS = 3;
const JSON_TYPE = { 'Content-Type': 'application/json' };
const PATCH_TYPE = { 'Content-Type': 'application/merge-patch+json' };

/** One route: its i-th request, and the status of the answer. */
interface Route {
  name: string;
  make(i: number): Ask;
  status: number;
}

/** Measures every route of worlds, objects and people: one client, one request at a time. */
export async function measureRoutes(bench: Bench): Promise<Figure[]> {
  const means = await withWorker(bench, {}, (setting) =>
    withSpace(setting, bench.sizes.hotObjects, async (inSpace) => {
      const asker = await openAsker({ url: inSpace.worker.url, headers: inSpace.space.headers });
      try {
        return await repeat(bench, 'routes', (run) => measureAll(bench, inSpace, asker, run));
      } finally {
        await asker.close();
      }
    }),
  );
  const names = Object.keys(means[0] ?? {});
  const taken = names.map((name) => ({ name, values: means.map((run) => run[name] ?? Number.NaN) }));
  const slowest = taken.toSorted((a, b) => median(b.values) - median(a.values));
  const section = `routes, ${format(bench.sizes.hotObjects)} objects, one client`;
  const due = { atMost: MEAN_MS_MAX };
  return [
    {
      section,
      what: `mean of the slowest of ${names.length} routes`,
      unit: 'ms',
      due,
      values: slowest[0]?.values ?? [],
      note: `${slowest
        .slice(0, 6)
        .map(({ name, values }) => `${name} ${format(median(values))}`)
        .join(', ')}; --json has each`,
    },
    ...taken.map(({ name, values }) => ({
      section,
      what: name,
      unit: 'ms, mean',
      due,
      values,
      isDetail: true,
    })),
  ];
}

async function measureAll(
  { sizes }: Bench,
  inSpace: SpaceSetting,
  asker: Asker,
  run: number,
): Promise<Record<string, number>> {
  const means: Record<string, number> = {};
  for (const { name, make, status } of await listRoutes(inSpace, sizes.routes.requests, run)) {
    const requests = sizes.routes.requests + WARM_UP_REQUESTS;
    const asks = Array.from({ length: requests }, (_, i) => make(i));
    const answers = await askAll(asker, { asks, connections: 1, requestsPerSecond: null }, [status]);
    means[name] = mean(answers.slice(WARM_UP_REQUESTS).map(({ ms }) => ms));
  }
  return means;
}

/** The order matters: a route makes things that a later one deletes. After a PUT of a state, older changes are gone. */
async function listRoutes(
  { worker, space, objects }: SpaceSetting,
  requests: number,
  run: number,
): Promise<Route[]> {
  const { path, headers } = space;
  const call = async <T>(way: string, init: RequestInit): Promise<T> => {
    const answer = await fetch(`${worker.url}${way}`, { ...init, headers: { ...headers, ...JSON_TYPE } });
    if (!answer.ok) throw new Error(`${init.method ?? 'GET'} ${way}: ${answer.status}`);
    return (await answer.json()) as T;
  };
  const tag = `run-${run}`;
  const person = JSON.stringify({ displayName: 'Ann' });
  await call(`/v1/users/${tag}`, { method: 'PUT', body: person });
  const sessionInput = JSON.stringify({ userId: tag, spaceId: space.address.spaceId, role: 'editor' });
  const sessions: string[] = [];
  for (let i = 0; i < requests + WARM_UP_REQUESTS; i++)
    sessions.push((await call<{ id: string }>('/v1/sessions', { method: 'POST', body: sessionInput })).id);
  const world = await call<{ seq: number }>(`${path}/state`, {});
  const state = JSON.stringify(world);
  const write = (method: string, way: string, body: string, type = JSON_TYPE): Ask => ({
    method,
    path: way,
    body,
    headers: type,
  });
  const read = (way: string): Ask => ({ method: 'GET', path: way });
  const remove = (way: string): Ask => ({ method: 'DELETE', path: way });
  const object = (i: number) => `${path}/objects/${nameObject(i % objects)}`;
  const session = (i: number) => `/v1/sessions/${sessions[i] ?? ''}`;
  const other = (i: number) => `/v1/spaces/${tag}-${i}`;
  const guest = (i: number) => `/v1/users/${tag}-${i}`;
  const added = (i: number) => `${path}/objects/${tag}-${i}`;
  const moved = (i: number) => JSON.stringify({ position: { x: i, y: run, z: 0 } });
  const move = (i: number) =>
    JSON.stringify({ ops: [{ op: 'patch', id: nameObject(i % objects), position: { x: i, y: run, z: 0 } }] });
  return [
    { name: 'GET /v1/spaces', make: () => read('/v1/spaces'), status: 200 },
    { name: 'PUT /v1/spaces/{space}', make: (i) => write('PUT', other(i), '{"name":"Other"}'), status: 201 },
    { name: 'GET /v1/spaces/{space}', make: (i) => read(other(i)), status: 200 },
    { name: 'DELETE /v1/spaces/{space}', make: (i) => remove(other(i)), status: 204 },
    { name: 'GET …/state', make: () => read(`${path}/state`), status: 200 },
    { name: 'GET …/statistics', make: () => read(`${path}/statistics`), status: 200 },
    { name: 'GET …/objects', make: () => read(`${path}/objects`), status: 200 },
    { name: 'GET …/objects/{id}', make: (i) => read(object(i)), status: 200 },
    { name: 'PUT …/objects/{id}', make: (i) => write('PUT', added(i), '{"name":"Added"}'), status: 201 },
    {
      name: 'PATCH …/objects/{id}',
      make: (i) => write('PATCH', object(i), moved(i), PATCH_TYPE),
      status: 200,
    },
    { name: 'DELETE …/objects/{id}', make: (i) => remove(added(i)), status: 204 },
    { name: 'POST …/updates', make: (i) => write('POST', `${path}/updates`, move(i)), status: 202 },
    { name: 'GET …/changes', make: () => read(`${path}/changes?since=${world.seq}&limit=100`), status: 200 },
    { name: 'PUT …/state', make: () => write('PUT', `${path}/state`, state), status: 200 },
    { name: 'GET …/presence', make: () => read(`${path}/presence`), status: 200 },
    { name: 'PUT /v1/users/{id}', make: (i) => write('PUT', guest(i), person), status: 201 },
    { name: 'GET /v1/users/{id}', make: (i) => read(guest(i)), status: 200 },
    { name: 'DELETE /v1/users/{id}', make: (i) => remove(guest(i)), status: 204 },
    { name: 'POST /v1/sessions', make: () => write('POST', '/v1/sessions', sessionInput), status: 201 },
    {
      name: 'POST /v1/sessions/{id}/heartbeat',
      status: 204,
      make: (i) => ({ method: 'POST', path: `${session(i)}/heartbeat` }),
    },
    { name: 'DELETE /v1/sessions/{id}', make: (i) => remove(session(i)), status: 204 },
  ];
}
