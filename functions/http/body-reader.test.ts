import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { BodyReader } from './body-reader.ts';
import type { AppContext } from './context.ts';

const TIMEOUT_MS = 8_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A body whose pieces the test sends, of a kind that the runtime fills itself or that the reader fills. */
function makeBody(type?: 'bytes') {
  let controller: ReadableStreamDefaultController | ReadableByteStreamController | undefined;
  const start = (given: typeof controller) => {
    controller = given;
  };
  const stream =
    type === 'bytes' ? new ReadableStream({ type, start }) : new ReadableStream<Uint8Array>({ start });
  const context = {
    req: { raw: { body: stream }, header: () => undefined },
    get: (name: string) =>
      name === 'services' ? { config: { limits: { bodyTimeoutMs: TIMEOUT_MS } } } : undefined,
  };
  // The reader uses nothing else of a context.
  const reader = BodyReader.open(context as unknown as AppContext);
  if (reader === null) throw new Error('there is a body');
  return { reader, send: (text: string) => controller?.enqueue(new TextEncoder().encode(text)) };
}

const decode = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? undefined);

it.each([undefined, 'bytes'] as const)('waits for as long as bytes arrive (%s)', async (type) => {
  // Files share processes: another file may have timers too.
  const others = vi.getTimerCount();
  const { reader, send } = makeBody(type);
  for (let i = 0; i < 5; i++) {
    const piece = reader.read();
    await vi.advanceTimersByTimeAsync(TIMEOUT_MS - 1);
    send(`piece ${i}`);
    expect(decode(await piece)).toBe(`piece ${i}`);
  }
  const never = expect(reader.read()).rejects.toMatchObject({ code: 'body_timeout' });
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS);
  await never;
  expect(vi.getTimerCount()).toBe(others);
});

it('does not count the time in which nobody reads', async () => {
  const { reader, send } = makeBody();
  await vi.advanceTimersByTimeAsync(10 * TIMEOUT_MS);
  send('late');
  expect(decode(await reader.read())).toBe('late');
});
