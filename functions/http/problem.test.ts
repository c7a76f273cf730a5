import { Hono } from 'hono';
import { beforeEach, expect, it } from 'vitest';
import { NO_METRICS } from '../../src/metrics/metrics.ts';
import { AppError, type ErrorCode } from '../../src/world/errors.ts';
import type { AppEnv } from './context.ts';
import { createLog } from './log.ts';
import { logRequests } from './log-requests.ts';
import { answerProblem } from './problem.ts';
import { nameRequests } from './request-id.ts';

const logged: Record<string, unknown>[] = [];
const log = createLog({ level: 'info', now: () => 0, write: (line) => void logged.push(JSON.parse(line)) });

beforeEach(() => {
  logged.length = 0;
});

function answer(error: unknown): Response | Promise<Response> {
  const app = new Hono<AppEnv>();
  app.onError((thrown, c) => answerProblem(thrown, c));
  app.use(nameRequests(), logRequests({ metrics: NO_METRICS, log, now: () => 0 }));
  app.get('/', () => {
    throw error;
  });
  return app.request('/', { headers: { 'X-Request-Id': 'r1' } });
}

it('a bug is a plain 500 with the request id; its words stay here, its place goes to the log', async () => {
  const error = new TypeError('hunter2', {
    cause: new Error('hunter2 again\n    at hunter2 (hunter2.ts:1)'),
  });
  const response = await answer(error);
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({ code: 'internal', requestId: 'r1', errors: [] });
  expect(text).toContain('r1');
  expect(`${text}${JSON.stringify(logged)}`).not.toMatch(/hunter2/);
  expect(logged).toMatchObject([
    {
      level: 'error',
      event: 'request',
      requestId: 'r1',
      status: 500,
      code: 'internal',
      causes: [
        { name: 'TypeError', at: expect.arrayContaining([expect.stringContaining('problem.test')]) },
        { name: 'Error' },
      ],
    },
  ]);
});

it('what is expected is a line like any other; a store that is away is an error, with its causes', async () => {
  const expected: ErrorCode[] = ['not_found', 'validation_failed', 'unauthorized', 'precondition_failed'];
  for (const code of expected) await answer(new AppError(code, 'no'));
  expect(logged.map(({ level, code }) => [level, code])).toEqual(expected.map((code) => ['info', code]));
  expect(logged.some((line) => 'causes' in line)).toBe(false);
  await answer(
    new AppError('store_unavailable', 'no', { cause: Object.assign(new Error('no'), { code: '57P01' }) }),
  );
  expect(logged.at(-1)).toMatchObject({
    level: 'error',
    causes: [
      { name: 'AppError', code: 'store_unavailable' },
      { name: 'Error', code: '57P01' },
    ],
  });
});

it.each<[ErrorCode, number]>([
  ['unauthorized', 401],
  ['forbidden', 403],
  ['not_found', 404],
  ['conflict', 409],
  ['precondition_failed', 412],
  ['length_required', 411],
  ['body_too_large', 413],
  ['quota_exceeded', 413],
  ['range_not_satisfiable', 416],
  ['length_mismatch', 422],
  ['digest_mismatch', 422],
  ['invalid_file', 422],
  ['no_asset_store', 501],
  ['unsupported_media_type', 415],
  ['malformed_json', 422],
  ['validation_failed', 422],
  ['properties_too_large', 422],
  ['misconfigured', 503],
  ['store_unavailable', 503],
  ['state_unsettled', 503],
])('%s is %i; with Retry-After if a repeat may help', async (code, status) => {
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
  const response = await answer(new AppError('store_unavailable', 'no', { retryAfterSeconds: 30 }));
  expect(response.headers.get('Retry-After')).toBe('30');
});
