import { writeGlb } from '../../src/cli/formats/glb.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { type BucketServer, startBareBucket, startWithBucket } from '../harness/bucket.ts';
import { sampleMemory } from '../harness/processes.ts';
import { type Figure, format } from '../harness/report.ts';
import { makeSpace } from '../harness/space.ts';
import { mean } from '../harness/statistics.ts';

const BARE = 'the bare bucket';
const SAMPLE_MS = 20;
const MIB = 2 ** 20;

interface Moved {
  ms: number;
  /** Resident memory over that before, in MiB. */
  memory: number;
}

interface Measured {
  up: Moved;
  down: Moved;
}

interface Routes {
  server: BucketServer;
  headers: Record<string, string>;
  /** Stores the bytes. @returns the address from which they can be read, and a function that deletes them */
  put(glb: Uint8Array<ArrayBuffer>): Promise<{ url: string; remove(): Promise<void> }>;
}

/** Uploads a large model and downloads it again. Between the bytes and the bucket are the login, the check, the hash and the database. */
export async function measureFiles(bench: Bench): Promise<Figure[]> {
  const { bytes } = bench.sizes.files;
  const stack = await bench.openStack();
  try {
    const ours = await withServer(await startWithBucket(bench, stack), async (server) => {
      const { headers } = await makeSpace(stack, server.url, 1);
      return measureServer(bench, 'a large model', { server, headers, put: putModel(server, headers) });
    });
    const bare = await withServer(await startBareBucket(bench), (server) =>
      measureServer(bench, `a large file, ${BARE}`, { server, headers: {}, put: putBare(server) }),
    );
    const section = `a model of ${format(bytes / MIB)} MiB`;
    const list = (what: string, unit: string, read: (run: Measured) => number): Figure[] => [
      {
        section,
        what,
        unit,
        values: ours.map(read),
        measure: `ms ${what}`,
        note: describe(ours, bytes, what),
      },
      {
        section,
        what: `${what}, ${BARE}`,
        unit,
        values: bare.map(read),
        measure: `ms ${what}`,
        baseline: BARE,
      },
    ];
    return [
      ...list('upload', 'ms', ({ up }) => up.ms),
      ...list('download', 'ms', ({ down }) => down.ms),
      ...list('memory during the upload', 'MiB', ({ up }) => up.memory),
      ...list('memory during the download', 'MiB', ({ down }) => down.memory),
    ];
  } finally {
    await stack.stop();
  }
}

function describe(runs: readonly Measured[], bytes: number, what: string): string {
  if (what.startsWith('memory'))
    return 'the most in use over that before, of the process with the bucket in it';
  const ms = mean(runs.map(({ up, down }) => (what === 'upload' ? up.ms : down.ms)));
  return `${format(bytes / MIB / (ms / 1_000))} MiB/s`;
}

async function withServer<T>(server: BucketServer, use: (server: BucketServer) => Promise<T>): Promise<T> {
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

async function measureServer(bench: Bench, name: string, routes: Routes): Promise<Measured[]> {
  // The first file of a process also compiles code and grows its heap.
  await measureOnce(bench, routes, 0);
  return repeat(bench, name, (run) => measureOnce(bench, routes, run));
}

async function measureOnce(
  { sizes }: Bench,
  { server, headers, put }: Routes,
  run: number,
): Promise<Measured> {
  const glb = makeModel(sizes.files.bytes, run);
  const watch = <T>(work: () => Promise<T>) => watchMemory(server.pid, work);
  const { result: stored, ...up } = await watch(() => put(glb));
  const { result: received, ...down } = await watch(async () => {
    const answer = await fetch(stored.url, { headers });
    let read = 0;
    for await (const chunk of answer.body ?? []) read += chunk.length;
    return read;
  });
  if (received !== glb.length) throw new Error(`${received} of ${glb.length} bytes came back`);
  await stored.remove();
  return { up, down };
}

/** A binary glTF whose bytes differ in every run, so that none is known already. */
function makeModel(bytes: number, run: number): Uint8Array<ArrayBuffer> {
  const binary = new Uint8Array(Math.floor(bytes / 4) * 4 - 512);
  for (let at = 0; at < binary.length; at += 4_096) binary[at] = (at / 4_096 + run) % 251;
  binary[1] = run;
  return writeGlb({ asset: { version: '2.0' }, buffers: [{ byteLength: binary.length }] }, [binary]);
}

function putModel(server: BucketServer, headers: Record<string, string>): Routes['put'] {
  return async (body) => {
    const answer = await fetch(`${server.url}/v1/models?name=large.glb`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'model/gltf-binary' },
      body,
    });
    const text = await answer.text();
    if (answer.status !== 201) throw new Error(`the upload was answered ${answer.status}: ${text}`);
    const { id } = JSON.parse(text) as { id: string };
    const remove = async () => {
      await fetch(`${server.url}/v1/models/${id}`, { method: 'DELETE', headers });
    };
    return { url: `${server.url}/v1/models/${id}/file`, remove };
  };
}

function putBare(server: BucketServer): Routes['put'] {
  return async (body) => {
    const answer = await fetch(server.url, { method: 'PUT', body });
    await answer.body?.cancel();
    if (answer.status !== 201) throw new Error(`the upload was answered ${answer.status}`);
    return { url: server.url, remove: () => Promise.resolve() };
  };
}

async function watchMemory<T>(pid: number, work: () => Promise<T>): Promise<Moved & { result: T }> {
  const memory = sampleMemory({ server: pid }, SAMPLE_MS);
  const startedAt = performance.now();
  const result = await work();
  const ms = performance.now() - startedAt;
  const samples = (await memory.stop()).map(({ server = 0 }) => server);
  return { result, ms, memory: Math.max(...samples) - (samples[0] ?? 0) };
}
