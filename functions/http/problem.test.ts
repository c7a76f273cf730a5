import { Hono } from 'hono';
import { afterEach, expect, it, vi } from 'vitest';
import { AppError, type ErrorCode } from '../../src/world/errors.ts';
import type { AppEnv } from './context.ts';
import { answerProblem } from './problem.ts';
import { nameRequests } from './request-id.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function answer(error: unknown): Response | Promise<Response> {
  const app = new Hono<AppEnv>();
  app.onError((thrown, c) => answerProblem(thrown, c));
  app.use(nameRequests());
  app.get('/', () => {
    throw error;
  });
  return app.request('/', { headers: { 'X-Request-Id': 'r1' } });
}

it('a bug is a plain 500 with the request id; its words stay here, its place goes to the log', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const response = await answer(new TypeError('hunter2', { cause: new Error('hunter2 again\n    more') }));
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({ code: 'internal', requestId: 'r1', errors: [] });
  expect(text).toContain('r1');
  const line = String(log.mock.calls[0]?.[0]);
  expect(`${text}${line}`).not.toMatch(/hunter2/);
  expect(JSON.parse(line)).toMatchObject({
    requestId: 'r1',
    code: 'internal',
    causes: [
      { name: 'TypeError', at: expect.arrayContaining([expect.stringContaining('problem.test')]) },
      {},
    ],
  });
});

it('what is expected is not logged, unless a store is away', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const expected: ErrorCode[] = ['not_found', 'validation_failed', 'unauthorized', 'precondition_failed'];
  for (const code of expected) await answer(new AppError(code, 'no'));
  expect(log).not.toHaveBeenCalled();
  await answer(new AppError('store_unavailable', 'no'));
  expect(log).toHaveBeenCalledOnce();
});

it.each<[ErrorCode, number]>([
  ['unauthorized', 401],
  ['forbidden', 403],
  ['not_found', 404],
  ['conflict', 409],
  ['precondition_failed', 412],
  ['body_too_large', 413],
  ['unsupported_media_type', 415],
  ['malformed_json', 422],
  ['validation_failed', 422],
  ['properties_too_large', 422],
  ['misconfigured', 503],
  ['store_unavailable', 503],
  ['state_unsettled', 503],
])('%s is %i; with Retry-After if a repeat may help', async (code, status) => {
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const response = await answer(
    new AppError(code, 'Because.', { errors: [{ path: '/a', message: 'is b' }] }),
  );
  expect(response.status).toBe(status);
  expect(response.headers.has('Retry-After')).toBe(status === 503);
  expect(await response.json()).toMatchObject({
    type: `urn:worldkeep:problem:${code}`,
    status,
    code,
    detail: 'Because.',
    instance: '/',
    errors: [{ path: '/a', message: 'is b' }],
  });
});

it('a failure that knows when to come back says so', async () => {
  vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const response = await answer(new AppError('store_unavailable', 'no', { retryAfterSeconds: 30 }));
  expect(response.headers.get('Retry-After')).toBe('30');
});
