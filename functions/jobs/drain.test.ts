import { afterEach, describe, expect, it } from 'vitest';
import { CURRENT_KEY, NEXT_KEY, TOKEN, useTestQueue } from '../../dev/emulators/qstash-test-queue.ts';
import { serveApp } from '../../src/cli/testing/serve-app.ts';
import { createQueue } from '../../src/qstash/queue.ts';
import { AppError } from '../../src/world/errors.ts';
import { PUBLIC_URL, signDelivery } from '../../test/http/sign-delivery.ts';
import { makeEnv } from '../../test/http/targets.ts';
import { createApp } from '../app.ts';
import { composeWorker } from '../compose-worker.ts';
import type { Drains } from '../http/context.ts';

const queue = useTestQueue();
const SWEPT = { spaces: 2, operations: 7, entries: 3, batches: 2, left: 0 };
const DRAINED = { status: 'drained', operations: 7, entries: 3, batches: 1, seq: 12 } as const;

/** The app with the real Redis, and a drain whose every call is kept. */
function openApp(publicUrl: string, drains: Partial<Drains> | null = {}) {
  const calls: unknown[] = [];
  const env = makeEnv({
    QSTASH_TOKEN: TOKEN,
    QSTASH_CURRENT_SIGNING_KEY: CURRENT_KEY,
    QSTASH_NEXT_SIGNING_KEY: NEXT_KEY,
    PUBLIC_URL: publicUrl,
    LOG_LEVEL: 'silent',
  });
  const app = createApp({
    ...composeWorker(env),
    events: { drain: async () => ({ stored: 5, refused: 0, isDone: true }) },
    drains: drains && {
      drainSpace: async (address) => {
        calls.push(address);
        return DRAINED;
      },
      sweep: async () => {
        calls.push('all');
        return SWEPT;
      },
      ...drains,
    },
  });
  async function post(body: string | Uint8Array<ArrayBuffer>, signature?: string) {
    const response = await app.request('/jobs/drain', {
      method: 'POST',
      ...(body.length > 0 && { body }),
      headers: { 'Upstash-Signature': signature ?? (await signDelivery({ body, key: CURRENT_KEY })) },
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  }
  return { app, post, calls };
}

describe('POST /jobs/drain', () => {
  it('drains one space, or all of them where none is named', async () => {
    const { post, calls } = openApp(PUBLIC_URL);
    const space = { tenantId: 't', spaceId: 's' };
    expect(await post(JSON.stringify(space))).toMatchObject({ status: 200, body: DRAINED });
    expect(await post('{}')).toMatchObject({ status: 200, body: { ...SWEPT, events: 5 } });
    expect(await post('')).toMatchObject({ status: 200, body: SWEPT });
    expect(calls).toEqual([space, 'all', 'all']);
  });

  it.each<[string, string | Uint8Array<ArrayBuffer>]>([
    ['no JSON', '{"tenantId":'],
    ['no text', new Uint8Array([0xff, 0xfe])],
    ['a list', '[]'],
    ['a tenant alone', '{"tenantId":"t"}'],
    ['an id that is none', '{"tenantId":"t","spaceId":"a/b"}'],
    ['a member that is not known', '{"tenantId":"t","spaceId":"s","force":true}'],
  ])('tells QStash not to try %s again', async (_, body) => {
    const { post, calls } = openApp(PUBLIC_URL);
    const answer = await post(body);
    expect(answer).toMatchObject({ status: 489, body: { status: 489, code: 'job_refused' } });
    expect(answer.headers.get('Upstash-NonRetryable-Error')).toBe('true');
    expect(calls).toEqual([]);
  });

  it('drains once for a signature, and says so when it comes again', async () => {
    const { post, calls } = openApp(PUBLIC_URL);
    const signature = await signDelivery({ body: '{}', key: CURRENT_KEY });
    expect((await post('{}', signature)).body).toEqual({ ...SWEPT, events: 5 });
    expect(await post('{}', signature)).toMatchObject({ status: 200, body: { status: 'already_done' } });
    expect(calls).toEqual(['all']);
  });

  it('drains again where it failed, which is 503', async () => {
    let tries = 0;
    const { post } = openApp(PUBLIC_URL, {
      async sweep() {
        tries++;
        if (tries === 1) throw new AppError('store_unavailable', 'Postgres does not answer.');
        return SWEPT;
      },
    });
    const signature = await signDelivery({ body: '{}', key: CURRENT_KEY });
    const failed = await post('{}', signature);
    expect(failed).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
    expect(failed.headers.get('Retry-After')).toBe('2');
    expect(await post('{}', signature)).toMatchObject({ status: 200, body: SWEPT });
  });

  it('is not configured without a Redis', async () => {
    const { post } = openApp(PUBLIC_URL, null);
    expect(await post('{}')).toMatchObject({ status: 503, body: { code: 'misconfigured' } });
  });
});

describe('what the local queue delivers', () => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('is taken, and tried again until it is answered well', async () => {
    const { emulator, clock, client } = await queue.start();
    let tries = 0;
    const drained: unknown[] = [];
    const served = await serveApp((request) => app.fetch(request));
    closing.push(served.close);
    const { app } = openApp(served.url, {
      async drainSpace(address) {
        tries++;
        if (tries === 1) throw new AppError('store_unavailable', 'Redis does not answer.');
        drained.push(address);
        return DRAINED;
      },
    });
    const space = { tenantId: 't', spaceId: 's' };
    const { publishDrain } = createQueue({ url: emulator.url, token: TOKEN, publicUrl: served.url });
    await publishDrain({ ...space, delaySeconds: 5 });
    clock.advance(5_000);
    await emulator.idle();
    expect([tries, drained]).toEqual([1, []]);
    // The answer's Retry-After.
    clock.advance(2_000);
    await emulator.idle();
    expect(drained).toEqual([space]);
    expect((await client.dlq.listMessages()).messages).toEqual([]);
  });

  it('and can never be done is not tried again', async () => {
    const { emulator, clock, client } = await queue.start();
    const served = await serveApp((request) => app.fetch(request));
    closing.push(served.close);
    const { app, calls } = openApp(served.url);
    await client.publish({ url: `${served.url}/jobs/drain`, body: '{"spaceId":"s"}' });
    clock.advance(1);
    await emulator.idle();
    expect(calls).toEqual([]);
    expect((await client.dlq.listMessages()).messages).toMatchObject([{ responseStatus: 489 }]);
  });
});
