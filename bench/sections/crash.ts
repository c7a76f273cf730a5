import { uuidv7 } from 'uuidv7';
import type { Bench } from '../harness/bench.ts';
import { callDrain } from '../harness/drain-call.ts';
import { createRandom, nameObject } from '../harness/operations.ts';
import { type Figure, format } from '../harness/report.ts';
import { type BenchSpace, makeSpace, type SpaceWatch, watchSpace } from '../harness/space.ts';
import type { Workerd } from '../harness/workerd.ts';

const CLIENTS = 4;
/** The Worker dies at a random one of this many acknowledgements, so that a drain may be in any of its steps. */
const ACKNOWLEDGED_MAX = 60;

/** A request. It moves all its objects to x = its number, so that each request has its own x. */
interface Sent {
  number: number;
  ids: ReadonlySet<string>;
  /** The seq of its acknowledgement; null without one. */
  seq: number | null;
}

interface Row {
  id: string;
  seq: number;
  x: number;
}

/** Kills the Worker at the moment of an acknowledgement, many times: no acknowledged update may be lost. */
export async function measureCrash(bench: Bench): Promise<Figure[]> {
  const { sizes, tell, startServer } = bench;
  const { kills } = sizes.crash;
  const random = createRandom(1);
  const stack = await bench.openStack();
  const sent: Sent[] = [];
  let worker: Workerd | null = null;
  let watch: SpaceWatch | null = null;
  const lost: number[] = [];
  const wrong: number[] = [];
  try {
    worker = await startServer(stack.values);
    const space = await makeSpace(stack, worker.url, sizes.hotObjects);
    watch = await watchSpace(stack, space.address);
    for (let kill = 1; kill <= kills; kill++) {
      const acknowledgements = 1 + Math.floor(random() * ACKNOWLEDGED_MAX);
      sent.push(
        ...(await sendUntilKilled(bench, worker, {
          space,
          acknowledgements,
          random,
          first: sent.length + 1,
        })),
      );
      worker = await startServer(stack.values);
      await callDrain(stack.values, worker.url, space.address);
      await watch.waitUntilDrained();
      const checked = check(sent, await readRows(watch, space));
      lost.push(checked.lost);
      wrong.push(checked.wrong);
      if (kill % 10 === 0 || kill === kills)
        tell(`crash: killed ${kill} of ${kills} times; acknowledged updates lost: ${checked.lost}`);
    }
  } finally {
    await watch?.close();
    await worker?.stop();
    await stack.stop();
  }
  const acknowledged = sent.filter(({ seq }) => seq !== null).length;
  const cut = format(sent.length - acknowledged);
  return [
    {
      section: `crash, SIGKILL of the Worker at an acknowledgement, ${kills} times`,
      what: 'acknowledged updates lost',
      unit: 'updates',
      values: [Math.max(...lost)],
      due: { atMost: 0 },
      isPromise: true,
      note: `of ${format(acknowledged * sizes.opsPerRequest)} acknowledged; ${cut} requests were cut off without an answer. Each check covers all updates since the first kill, after a drain by a new Worker`,
    },
    {
      section: `crash, SIGKILL of the Worker at an acknowledgement, ${kills} times`,
      what: 'objects that are as no request put them',
      unit: 'objects',
      values: [Math.max(...wrong)],
      due: { atMost: 0 },
      isPromise: true,
    },
  ];
}

interface Round {
  space: BenchSpace;
  acknowledgements: number;
  random: () => number;
  first: number;
}

/** Several clients send. The client that gets the last acknowledgement kills the Worker. */
async function sendUntilKilled(
  { sizes }: Bench,
  worker: Workerd,
  { space, acknowledgements, random, first }: Round,
): Promise<Sent[]> {
  const sent: Sent[] = [];
  let left = acknowledgements;
  let killing: Promise<void> | null = null;
  const work = async () => {
    while (killing === null) {
      const ids = pickObjects(sizes.hotObjects, sizes.opsPerRequest, random);
      const request: Sent = { number: first + sent.length, ids, seq: null };
      sent.push(request);
      const position = { x: request.number, y: 0, z: 0 };
      const answer = await fetch(`${worker.url}${space.path}/updates`, {
        method: 'POST',
        headers: { ...space.headers, 'Content-Type': 'application/json', 'Idempotency-Key': uuidv7() },
        body: JSON.stringify({ ops: [...ids].map((id) => ({ op: 'patch', id, position })) }),
      })
        .then(async (response) => ({ status: response.status, text: await response.text() }))
        .catch(() => null);
      // Cut off: the client does not know if the request was appended.
      if (answer === null) return;
      if (answer.status !== 202) throw new Error(`${answer.status} ${answer.text}`);
      request.seq = (JSON.parse(answer.text) as { seq: number }).seq;
      if (--left === 0) killing = worker.kill();
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
  await killing;
  return sent;
}

/** Returns so many different objects. */
function pickObjects(objects: number, count: number, random: () => number): Set<string> {
  const ids = new Set<string>();
  while (ids.size < Math.min(count, objects)) ids.add(nameObject(Math.floor(random() * objects)));
  return ids;
}

async function readRows({ postgres }: SpaceWatch, { address }: BenchSpace): Promise<Row[]> {
  const { rows } = await postgres.query<{ id: string; seq: string; x: number }>(
    `select o.object_id as id, o.seq::text, o.position_x as x
     from world_objects o join spaces s using (world)
     where s.tenant_id = $1 and s.space_id = $2`,
    [address.tenantId, address.spaceId],
  );
  return rows.map((row) => ({ ...row, seq: Number(row.seq) }));
}

/**
 * An acknowledged update is not lost if its object has its seq or a later one. A moved object must be at the x of the
 * request with its seq, or of a request without an answer.
 */
function check(sent: readonly Sent[], rows: readonly Row[]): { lost: number; wrong: number } {
  let [lost, wrong] = [0, 0];
  const byId = new Map(rows.map((row) => [row.id, row]));
  const bySeq = new Map(
    sent.flatMap((request) => (request.seq === null ? [] : [[request.seq, request] as const])),
  );
  for (const { seq, ids } of sent)
    if (seq !== null) for (const id of ids) if ((byId.get(id)?.seq ?? 0) < seq) lost++;
  const moved = new Set(sent.flatMap(({ ids }) => [...ids]));
  for (const id of moved) {
    const row = byId.get(id);
    if (row === undefined) continue;
    const acknowledged = bySeq.get(row.seq);
    const sender = sent[row.x - 1];
    const isAsSent = sender?.ids.has(id) && (sender === acknowledged || sender.seq === null);
    const isUntouched =
      acknowledged === undefined && sent.every(({ seq, ids }) => seq === null || !ids.has(id));
    if (!isAsSent && !isUntouched) wrong++;
  }
  return { lost, wrong };
}
