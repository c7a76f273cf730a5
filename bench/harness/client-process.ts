/** Runs clients of the SDK in a process of their own, for the section `client`. It needs --expose-gc. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type World } from 'worldkeep/client';

/** One measurement. */
export type ClientTask = { url: string; space: string; token: string } & (
  | { task: 'delivery'; batchMs: number; changes: number; perSecond: number }
  | { task: 'bare delivery'; changes: number; perSecond: number }
  | { task: 'memory' | 'bare memory' }
  | { task: 'offline'; changes: number; offlineMs: number }
);

export type ClientAnswer =
  | { ms: number[] }
  | { bytes: number; objects: number }
  | { ms: number; requests: number; lost: number };

const SETTLE_MS_MAX = 60_000;
const gc = (globalThis as { gc?: () => void }).gc ?? (() => undefined);

async function run(task: ClientTask): Promise<ClientAnswer> {
  switch (task.task) {
    case 'delivery':
      return measureDelivery(task);
    case 'bare delivery':
      return measureBareDelivery(task);
    case 'memory':
      return measureMemory(task, false);
    case 'bare memory':
      return measureMemory(task, true);
    case 'offline':
      return measureOffline(task);
  }
}

/** From the call until the listener of another client. */
async function measureDelivery(task: ClientTask & { task: 'delivery' }): Promise<ClientAnswer> {
  const { batchMs, changes, perSecond, ...where } = task;
  const [writer, reader] = [connect({ ...where, batchMs }), connect(where)];
  await Promise.all([writer.ready, reader.ready]);
  await waitUntil(() => reader.status === 'live');
  const ms: number[] = [];
  reader.objects.on('enter', ({ id }) => note(ms, id));
  reader.objects.on('change', ({ id, properties }) => id === 'probe' && note(ms, properties.at));
  for (let i = 0; i < changes; i++) {
    writer.put('probe', { properties: { at: performance.now() } });
    await delay(1_000 / perSecond);
  }
  await waitUntil(() => writer.unsent === 0);
  await delay(500);
  await Promise.all([writer.close(), reader.close()]);
  return { ms };
}

/** The same with one request a change and a stream, without the SDK. */
async function measureBareDelivery(task: ClientTask & { task: 'bare delivery' }): Promise<ClientAnswer> {
  const { url, space, token, changes, perSecond } = task;
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const end = new AbortController();
  const base = `${url}/v1/spaces/${space}`;
  const stream = await fetch(`${base}/stream`, { headers, signal: end.signal });
  const ms: number[] = [];
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of stream.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>)
      for (const [, at] of decoder.decode(chunk).matchAll(/"at":([\d.]+)/g)) note(ms, Number(at));
  })().catch(() => undefined);
  for (let i = 0; i < changes; i++) {
    const ops = [{ op: 'put', id: 'probe', properties: { at: performance.now() } }];
    void fetch(`${base}/updates`, { method: 'POST', headers, body: JSON.stringify({ ops }) }).then((answer) =>
      answer.body?.cancel(),
    );
    await delay(1_000 / perSecond);
  }
  await delay(500);
  end.abort();
  await reading;
  return { ms };
}

function note(ms: number[], at: unknown): void {
  if (typeof at === 'number') ms.push(performance.now() - at);
}

/** Memory of a mirror, or of the parsed state alone. */
async function measureMemory(where: ClientTask, isBare: boolean): Promise<ClientAnswer> {
  const { url, space, token } = where;
  const before = await readHeap();
  let world: World | null = null;
  let state: { objects: unknown[] } | null = null;
  if (isBare) {
    const answer = await fetch(`${url}/v1/spaces/${space}/state`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    state = (await answer.json()) as { objects: unknown[] };
  } else {
    world = connect({ url, space, token });
    await world.ready;
  }
  const bytes = (await readHeap()) - before;
  const objects = world?.objects.size ?? state?.objects.length ?? 0;
  await world?.close();
  return { bytes, objects };
}

async function readHeap(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    gc();
    await delay(50);
  }
  return process.memoryUsage().heapUsed;
}

/** From the return of the network until the server has all that changed meanwhile. */
async function measureOffline(task: ClientTask & { task: 'offline' }): Promise<ClientAnswer> {
  const { url, space, token, changes, offlineMs } = task;
  let isOnline = true;
  let requests = 0;
  const cuts = new Set<AbortController>();
  const world = connect({
    url,
    space,
    token,
    fetch: async (input, init) => {
      if (!isOnline) throw new TypeError('offline');
      requests++;
      const cut = new AbortController();
      cuts.add(cut);
      return fetch(input, {
        ...init,
        signal: AbortSignal.any([cut.signal, ...(init?.signal ? [init.signal] : [])]),
      });
    },
  });
  await world.ready;
  await waitUntil(() => world.status === 'live');
  isOnline = false;
  for (const cut of cuts) cut.abort();
  for (let i = 0; i < changes; i++) {
    world.put(`offline-${i}`, { properties: { i } });
    await delay(offlineMs / changes);
  }
  requests = 0;
  const startedAt = performance.now();
  isOnline = true;
  // As the event `online` of a browser does.
  (globalThis as Partial<EventTarget>).dispatchEvent?.(new Event('online'));
  await waitUntil(() => world.unsent === 0 && world.status === 'live');
  const ms = performance.now() - startedAt;
  const answer = await fetch(`${url}/v1/spaces/${space}/state`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const { objects } = (await answer.json()) as { objects: { id: string; properties: { i?: number } }[] };
  const kept = objects.filter(({ id, properties }) => id === `offline-${properties.i}`).length;
  await world.close();
  return { ms, requests, lost: changes - kept };
}

async function waitUntil(isDone: () => boolean): Promise<void> {
  for (const startedAt = performance.now(); !isDone(); await delay(1))
    if (performance.now() - startedAt > SETTLE_MS_MAX) throw new Error('the client did not settle');
}

const { BENCH_CLIENT = '' } = process.env;
if (BENCH_CLIENT !== '')
  run(JSON.parse(BENCH_CLIENT) as ClientTask).then(
    (answer) => process.send?.(answer, () => process.exit(0)),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
