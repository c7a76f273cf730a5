import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { HEARTBEAT_EVENT, RETRY_EVENT, toChange, writeEvent } from '../../world/change.ts';
import { thinStream } from './thin-stream.ts';

const change = (seq: number, id: string) => {
  const ops = JSON.stringify([{ op: 'patch', id, position: { x: 1 } }]);
  return writeEvent('change', toChange({ seq, prev: seq - 1, actor: 'ännä', ops }).text, seq);
};

const OTHERS = [
  RETRY_EVENT,
  HEARTBEAT_EVENT,
  writeEvent('committed', '{"seq":3}'),
  writeEvent('presence', '{}'),
  writeEvent('reset', '{"seq":9}', 9),
];

function streamOf(whole: string, chunkBytes: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(whole);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunkBytes));
      at += chunkBytes;
    },
  });
}

it.each([1, 2, 7, 64, 100_000])(
  'keeps the changes of one id, without prev, and all other events: %d bytes in a chunk',
  async (chunkBytes) => {
    const whole = [change(1, 'a-1'), change(2, 'a-11'), ...OTHERS, change(3, 'b'), change(4, 'a-1')].join('');
    const kept = [change(1, 'a-1'), ...OTHERS, change(4, 'a-1')]
      .join('')
      .replaceAll(/"prev":\d+/g, '"prev":0');
    expect(await text(thinStream(streamOf(whole, chunkBytes), 'a-1'))).toBe(kept);
  },
);

it('ends the stream when its reader leaves', async () => {
  let isEnded = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(HEARTBEAT_EVENT)),
    cancel: () => {
      isEnded = true;
    },
  });
  const reader = thinStream(endless, 'a').getReader();
  await reader.read();
  await reader.cancel();
  expect(isEnded).toBe(true);
});
