import { Hono } from 'hono';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LIMITS } from '../../src/world/limits.ts';
import { answerInTime } from './answer-in-time.ts';
import { readBytes } from './body.ts';
import type { AppContext, AppEnv, Services } from './context.ts';
import { answerProblem } from './problem.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An app with one route. Its deferred work is in `deferred`. */
function makeApp(handler: (c: AppContext) => Promise<Response>) {
  const deferred: Promise<unknown>[] = [];
  const services = {
    defer: (work: Promise<unknown>) => void deferred.push(work),
    config: { limits: { bodyTimeoutMs: 60_000 } },
  };
  const app = new Hono<AppEnv>();
  app.onError((error, c) => answerProblem(error, c));
  app.post(
    '/',
    async (c, next) => {
      // The middleware and the handler use nothing else.
      c.set('services', services as unknown as Services);
      await next();
    },
    answerInTime(),
    handler,
  );
  return { app, deferred };
}

it('[F9] answers 503 when the route has no answer in time, and lets its work continue', async () => {
  // Files share processes: another file may have timers too.
  const others = vi.getTimerCount();
  const { promise, resolve } = Promise.withResolvers<Response>();
  const { app, deferred } = makeApp(() => promise);
  let answer: Response | undefined;
  void Promise.resolve(app.request('/', { method: 'POST' })).then((response) => {
    answer = response;
  });
  await vi.advanceTimersByTimeAsync(LIMITS.answerMsMax - 1);
  expect([answer, deferred.length]).toEqual([undefined, 0]);
  await vi.advanceTimersByTimeAsync(1);
  expect(answer?.status).toBe(503);
  expect(answer?.headers.get('Retry-After')).toBe('2');
  expect(await answer?.json()).toMatchObject({ code: 'store_unavailable' });
  expect(deferred).toHaveLength(1);
  resolve(new Response('late'));
  await deferred[0];
  expect(vi.getTimerCount()).toBe(others);
});

it('[F9] counts the time before it reads the body', async () => {
  const others = vi.getTimerCount();
  const { promise, resolve } = Promise.withResolvers<Response>();
  const lookUp = Promise.withResolvers<void>();
  const { app, deferred } = makeApp(async (c) => {
    await lookUp.promise;
    await readBytes(c, 100);
    return promise;
  });
  let answer: Response | undefined;
  void Promise.resolve(app.request('/', { method: 'POST', body: 'text' })).then((response) => {
    answer = response;
  });
  await vi.advanceTimersByTimeAsync(4_000);
  lookUp.resolve();
  await vi.advanceTimersByTimeAsync(LIMITS.answerMsMax - 4_001);
  expect(answer).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1);
  expect(answer?.status).toBe(503);
  resolve(new Response('late'));
  await deferred[0];
  expect(vi.getTimerCount()).toBe(others);
});

it('[F9] does not count the time in which the caller sends its body', async () => {
  const others = vi.getTimerCount();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
  });
  const { app } = makeApp(async (c) => c.text(new TextDecoder().decode(await readBytes(c, 100))));
  const init: RequestInit = { method: 'POST', body, duplex: 'half' };
  const answer = app.request('/', init);
  for (const piece of ['one ', 'two ', 'three']) {
    await vi.advanceTimersByTimeAsync(LIMITS.answerMsMax + 1);
    controller?.enqueue(new TextEncoder().encode(piece));
  }
  controller?.close();
  await vi.advanceTimersByTimeAsync(1);
  const response = await answer;
  expect([response.status, await response.text()]).toEqual([200, 'one two three']);
  expect(vi.getTimerCount()).toBe(others);
});
