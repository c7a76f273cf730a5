/** Sends the requests of {@link openAsker} over keep-alive connections, in a separate process. */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, type Ask, type AskPhase, type AskTarget, SENT_AT } from './asks.ts';
import { readSharedMs } from './child.ts';

const PACE_MS = 1;
const { BENCH_ASKS = '' } = process.env;
const { url, headers: ofAll } = JSON.parse(BENCH_ASKS) as AskTarget;

function send(agent: Agent, { method, path, headers, body }: Ask, dueMs: number): Promise<Answer> {
  const text = body?.replaceAll(SENT_AT, () => String(readSharedMs()));
  const content = text === undefined ? {} : { 'Content-Length': Buffer.byteLength(text) };
  return new Promise((resolve) => {
    const broken = () => resolve({ status: 0, ms: performance.now() - dueMs, bytes: 0, etag: '' });
    const sending = request(
      new URL(path, url),
      { agent, method, headers: { ...ofAll, ...content, ...headers } },
      (response) => {
        let bytes = 0;
        response.on('data', (piece: Buffer) => {
          bytes += piece.length;
        });
        response.on('error', broken);
        response.on('end', () => {
          const { statusCode: status = 0, headers: answered } = response;
          resolve({ status, ms: performance.now() - dueMs, bytes, etag: answered.etag ?? '' });
        });
      },
    );
    sending.on('error', broken);
    sending.end(text);
  });
}

async function run({ asks, connections, requestsPerSecond }: AskPhase): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' });
  const answers: Answer[] = [];
  let begun = 0;
  const one = async (dueMs: number) => {
    const i = begun++;
    const ask = asks[i];
    if (ask !== undefined) answers[i] = await send(agent, ask, dueMs);
  };
  if (requestsPerSecond === null) {
    const work = async () => {
      while (begun < asks.length) await one(performance.now());
    };
    await Promise.all(Array.from({ length: connections }, work));
  } else {
    // Keeps the given rate even if answers are slow: a due request waits for a connection, and the wait counts.
    const startedAt = performance.now();
    const underWay = new Set<Promise<void>>();
    while (begun < asks.length) {
      const dueNow = Math.floor(((performance.now() - startedAt) / 1_000) * requestsPerSecond) + 1;
      while (begun < Math.min(asks.length, dueNow) && underWay.size < connections) {
        const sending = one(startedAt + (begun / requestsPerSecond) * 1_000);
        underWay.add(sending);
        void sending.then(() => underWay.delete(sending));
      }
      await delay(PACE_MS);
    }
    await Promise.all(underWay);
  }
  agent.destroy();
  return answers;
}

process.on('message', (phase: AskPhase) => {
  run(phase).then(
    (answers) => process.send?.(answers),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit(0));
process.send?.('ready');
