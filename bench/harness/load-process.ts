/** The load of {@link openLoad}: requests over keep-alive connections, from a separate process. */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { uuidv7 } from 'uuidv7';
import type { LoadMessage, LoadPhase, LoadResult, LoadTarget } from './load.ts';
import { makeBodies, turnBack } from './operations.ts';
import { percentile } from './statistics.ts';

/** So much for the list that it is not walked to and fro too often. */
const BODIES_MIN = 500;
const ROUNDS_MIN = 2;
const PACE_MS = 1;

const { BENCH_LOAD = '' } = process.env;
const target = JSON.parse(BENCH_LOAD) as LoadTarget;
const { url, headers, objects, opsPerRequest, seed, form = 'patch', isFast = false } = target;
const bodies = makeBodies({
  objects,
  opsPerRequest,
  seed,
  form,
  isFast,
  bodies: Math.max(BODIES_MIN, Math.ceil((ROUNDS_MIN * objects) / opsPerRequest)),
});
let sent = 0;

interface Answer {
  status: number;
  accepted: number;
  seq: number | null;
}

const BROKEN: Answer = { status: 0, accepted: 0, seq: null };

/** One request. A connection that breaks is status 0. */
function send(agent: Agent): Promise<Answer> {
  const body = bodies[turnBack(sent++, bodies.length)] ?? Buffer.alloc(0);
  return new Promise((resolve) => {
    const sending = request(
      url,
      {
        agent,
        method: 'POST',
        headers: {
          ...headers,
          'Content-Type': 'application/json',
          'Content-Length': body.length,
          'Idempotency-Key': uuidv7(),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.on('error', () => resolve(BROKEN));
        response.on('end', () => {
          resolve(readAnswer(response.statusCode ?? 0, text));
        });
      },
    );
    sending.on('error', () => resolve(BROKEN));
    sending.end(body);
  });
}

function readAnswer(status: number, text: string): Answer {
  if (status !== 200 && status !== 202) return { ...BROKEN, status };
  const {
    seq = null,
    accepted,
    results,
  } = JSON.parse(text) as {
    seq?: number;
    accepted?: number;
    results?: { status: string }[];
  };
  const applied = results?.filter((result) => result.status === 'applied').length;
  return { status, accepted: applied ?? accepted ?? 0, seq };
}

async function run({ connections, seconds, requests, requestsPerSecond }: LoadPhase): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' });
  const latencies: number[] = [];
  const statuses: Record<string, number> = {};
  const seqs: number[] = [];
  let accepted = 0;
  let firstSentMs = Number.NaN;
  let lastAnswerMs = 0;
  const startedAt = performance.now();
  const endsAt = seconds === null ? Number.POSITIVE_INFINITY : startedAt + seconds * 1_000;
  const requestsMax = requests ?? Number.POSITIVE_INFINITY;
  let begun = 0;
  let unsent = 0;
  const one = async (dueMs: number) => {
    if (Number.isNaN(firstSentMs)) firstSentMs = performance.now();
    const answer = await send(agent);
    lastAnswerMs = performance.now();
    latencies.push(lastAnswerMs - dueMs);
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
    accepted += answer.accepted;
    if (answer.seq !== null) seqs.push(answer.seq);
  };
  if (requestsPerSecond === null) {
    // As fast as possible: each connection sends the next request when it has the answer.
    const work = async () => {
      while (begun < requestsMax && performance.now() < endsAt) {
        begun++;
        await one(performance.now());
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
  } else {
    // Keeps the given rate even if answers are slow: a due request waits for a connection, and the wait counts.
    const underWay = new Set<Promise<void>>();
    const allDue = Math.min(
      requestsMax,
      Math.round((seconds ?? Number.POSITIVE_INFINITY) * requestsPerSecond),
    );
    while (begun < allDue && performance.now() < endsAt) {
      const dueNow = Math.floor(((performance.now() - startedAt) / 1_000) * requestsPerSecond) + 1;
      while (begun < Math.min(allDue, dueNow) && underWay.size < connections) {
        const sending = one(startedAt + (begun++ / requestsPerSecond) * 1_000);
        underWay.add(sending);
        void sending.then(() => underWay.delete(sending));
      }
      await delay(PACE_MS);
    }
    unsent = allDue - begun;
    await Promise.all(underWay);
  }
  agent.destroy();
  return {
    requests: begun,
    unsent,
    accepted,
    statuses,
    seqs,
    seconds: (lastAnswerMs - firstSentMs) / 1_000,
    latencyMs: {
      p50: percentile(latencies, 50),
      p99: percentile(latencies, 99),
      max: percentile(latencies, 100),
    },
  };
}

process.on('message', (phase: LoadPhase) => {
  run(phase).then(
    (result) => process.send?.({ kind: 'result', result } satisfies LoadMessage),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit(0));
process.send?.({ kind: 'ready' } satisfies LoadMessage);
