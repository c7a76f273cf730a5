/** Follows the stream of {@link openSubscribers} many times, in a separate process. */
import { Agent, request } from 'node:http';
import { createParser } from 'eventsource-parser';
import { readSharedMs } from './child.ts';
import type { Heard, SubscriberTarget } from './subscribers.ts';

const { BENCH_SUBSCRIBERS = '' } = process.env;
const { url, headers, subscribers } = JSON.parse(BENCH_SUBSCRIBERS) as SubscriberTarget;
const agent = new Agent({ keepAlive: false });
let latenciesMs: number[] = [];
let ended = 0;

/** Resolves when the stream is open. */
function follow(): Promise<void> {
  return new Promise((resolve, reject) => {
    const sending = request(url, { agent, headers: { ...headers, Accept: 'text/event-stream' } });
    sending.on('response', (response) => {
      if (response.statusCode !== 200)
        return reject(new Error(`a stream was answered ${response.statusCode}`));
      const parser = createParser({
        onEvent({ event, data }) {
          if (event !== 'change') return;
          const { ops } = JSON.parse(data) as { ops: { properties?: { sentAt?: number } }[] };
          const sentAt = ops[0]?.properties?.sentAt;
          if (sentAt !== undefined) latenciesMs.push(readSharedMs() - sentAt);
        },
      });
      response.setEncoding('utf8');
      response.on('data', (piece: string) => parser.feed(piece));
      response.on('error', () => undefined);
      response.on('close', () => ended++);
      resolve();
    });
    sending.on('error', reject);
    sending.end();
  });
}

process.on('message', () => {
  process.send?.({ latenciesMs, ended } satisfies Heard);
  latenciesMs = [];
});
process.once('disconnect', () => process.exit(0));
for (let i = 0; i < subscribers; i++) await follow();
process.send?.('ready');
