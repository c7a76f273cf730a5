import { describe, expect, it } from 'vitest';
import { findRetryDelay } from './qstash-delivery.ts';
import { CURRENT_KEY, NEXT_KEY, START_MS, useTestQueue } from './qstash-test-queue.ts';

const test = useTestQueue();

describe('retries', () => {
  it('tries three times more, after 12 s, 2.5 min and 30 min, then keeps a dead letter', async () => {
    const { client, front, clock, destination } = await test.start();
    destination.answer = () => ({ status: 500, headers: { 'x-why': 'broken' }, body: 'it is broken' });
    const { messageId } = await client.publish({
      url: destination.url,
      body: 'x',
      headers: { 'x-own': 'mine' },
    });
    await front.idle();
    for (const [seconds, calls] of [
      [11.999, 1],
      [0.001, 2],
      [147.999, 2],
      [0.001, 3],
      [1_807.999, 3],
      [0.001, 4],
      [1_000_000, 4],
    ] as const) {
      clock.advance(seconds * 1_000);
      await front.idle();
      expect(destination.calls).toHaveLength(calls);
    }
    expect(destination.calls.map(({ headers }) => headers['upstash-retried'])).toEqual(['0', '1', '2', '3']);
    expect(new Set(destination.calls.map(({ headers }) => headers['upstash-signature'])).size).toBe(4);
    const { messages } = await client.dlq.listMessages();
    expect(messages).toMatchObject([
      {
        messageId,
        url: destination.url,
        body: 'x',
        maxRetries: 3,
        responseStatus: 500,
        responseBody: 'it is broken',
        responseHeader: { 'x-why': ['broken'] },
      },
    ]);
  });

  it('waits as long as the destination asks', async () => {
    const { client, front, clock, destination } = await test.start();
    const answers = ['5', '1m5s', new Date(START_MS + 100_000).toUTCString(), '0'];
    destination.answer = () => {
      const retryAfter = answers.shift();
      return retryAfter === undefined
        ? { status: 200 }
        : { status: 429, headers: { 'retry-after': retryAfter } };
    };
    await client.publish({ url: destination.url, retries: 5 });
    await front.idle();
    for (const [seconds, calls] of [
      [4.999, 1],
      [0.001, 2],
      [64.999, 2],
      [0.001, 3],
      [29.999, 3],
      [0.001, 5],
    ] as const) {
      clock.advance(seconds * 1_000);
      await front.idle();
      expect(destination.calls).toHaveLength(calls);
    }
    expect((await client.dlq.listMessages()).messages).toEqual([]);
  });

  it.each([
    ['100000', 1, 12_000],
    ['soon', 2, 148_000],
    ['3600', 9, 3_600_000],
    [undefined, 4, 22_026_000],
    [undefined, 5, 86_400_000],
  ])('asked to wait %s before retry %i waits %i ms', (retryAfter, retry, delayMs) => {
    const headers: Record<string, string[]> = retryAfter === undefined ? {} : { 'retry-after': [retryAfter] };
    expect(findRetryDelay({ status: 503, headers, body: Buffer.alloc(0) }, retry, START_MS)).toBe(delayMs);
  });

  it('stops at 489 with the non-retryable header, and not without it', async () => {
    const { client, front, destination } = await test.start();
    destination.answer = ({ path }) => ({
      status: 489,
      headers: path === '/final' ? { 'upstash-nonretryable-error': 'true' } : {},
    });
    await client.publish({ url: `${destination.url}/final` });
    const { messageId } = await client.publish({ url: `${destination.url}/again` });
    await front.idle();
    expect((await client.dlq.listMessages()).messages).toMatchObject([{ url: `${destination.url}/final` }]);
    expect(await client.messages.get(messageId)).toMatchObject({ notBefore: START_MS + 12_000 });
  });

  it('counts no answer, and none in time, as a failure', async () => {
    const { client, front, clock, destination } = await test.start();
    destination.answer = () => null;
    await client.publish({ url: destination.url, timeout: 7, retries: 0 });
    await destination.waitForCalls(1);
    clock.advance(7_000);
    await client.publish({ url: 'http://127.0.0.1:1/', retries: 0 });
    await front.idle();
    expect((await client.dlq.listMessages()).messages).toMatchObject([
      { url: destination.url, responseStatus: 0, responseBody: 'no answer within 7000 ms' },
      { url: 'http://127.0.0.1:1/', responseStatus: 0 },
    ]);
  });

  it('does not follow a redirect', async () => {
    const { client, front, destination } = await test.start();
    destination.answer = () => ({ status: 307, headers: { location: 'https://example.com/' } });
    await client.publish({ url: destination.url, retries: 0 });
    await front.idle();
    expect((await client.dlq.listMessages()).messages).toMatchObject([{ responseStatus: 307 }]);
  });
});

describe('dead letters', () => {
  it('calls the failure callback, signed, with what failed', async () => {
    const { client, front, destination } = await test.start();
    destination.answer = ({ path }) => ({ status: path === '/callback' ? 200 : 400, body: 'no' });
    const failureCallback = `${destination.url}/callback`;
    const { messageId } = await client.publish({
      url: `${destination.url}/job`,
      body: 'x',
      retries: 0,
      failureCallback,
      headers: { 'Upstash-Failure-Callback-Forward-X-Own': 'mine' },
    });
    await front.idle();
    const callback = destination.calls.find(({ path }) => path === '/callback');
    const { messages } = await client.dlq.listMessages();
    expect(callback?.headers).toMatchObject({ 'content-type': 'application/json', 'x-own': 'mine' });
    expect(JSON.parse(callback?.body ?? '')).toMatchObject({
      status: 400,
      body: Buffer.from('no').toString('base64'),
      retried: 0,
      maxRetries: 0,
      dlqId: messages[0]?.dlqId,
      sourceMessageId: messageId,
      sourceBody: Buffer.from('x').toString('base64'),
      url: `${destination.url}/job`,
      method: 'POST',
    });
    expect(await test.verify(callback, failureCallback, CURRENT_KEY, NEXT_KEY)).toBe(true);
  });

  it('lists in pages, filters, deletes and publishes again', async () => {
    const { client, front, destination } = await test.start();
    destination.answer = () => ({ status: 500 });
    for (const path of ['/1', '/2', '/3']) {
      await client.publish({ url: destination.url + path, retries: 0 });
      await front.idle();
    }
    const page = await client.dlq.listMessages({ count: 2 });
    expect(page.messages.map(({ url }) => url)).toEqual([`${destination.url}/1`, `${destination.url}/2`]);
    const rest = await client.dlq.listMessages({ count: 2, ...(page.cursor ? { cursor: page.cursor } : {}) });
    expect(rest.messages.map(({ url }) => url)).toEqual([`${destination.url}/3`]);
    const filtered = await client.dlq.listMessages({ filter: { url: `${destination.url}/2` } });
    const [second] = filtered.messages;
    expect(filtered.messages).toHaveLength(1);
    expect(await client.dlq.delete([second?.dlqId ?? ''])).toEqual({ deleted: 1 });
    destination.answer = () => ({ status: 200 });
    const retried = await client.dlq.retry({ all: true });
    expect(retried.responses).toHaveLength(2);
    await front.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/1', '/2', '/3', '/1', '/3']);
    expect((await client.dlq.listMessages()).messages).toEqual([]);
  });
});

describe('flow control', () => {
  it('holds a key to its parallelism', async () => {
    const { client, front, destination } = await test.start();
    const finish: (() => void)[] = [];
    destination.answer = ({ path }) =>
      path === '/free'
        ? { status: 200 }
        : new Promise((resolve) => finish.push(() => resolve({ status: 200 })));
    const flowControl = { key: 'drain', parallelism: 2 };
    await client.batch(Array.from({ length: 5 }, () => ({ url: `${destination.url}/held`, flowControl })));
    for (const held of [2, 3, 4, 5]) {
      // One without a key overtakes them: what has not come by then is being held back.
      await client.publish({ url: `${destination.url}/free` });
      await destination.waitForCalls(held + (held - 1));
      expect(finish).toHaveLength(held);
      finish[held - 2]?.();
    }
    finish[4]?.();
    await front.idle();
    expect(destination.calls.filter(({ path }) => path === '/held')).toHaveLength(5);
  });

  it('holds a key to its rate', async () => {
    const { client, front, clock, destination } = await test.start();
    const flowControl = { key: 'drain', rate: 2, period: '1m' } as const;
    await client.batch(Array.from({ length: 5 }, () => ({ url: destination.url, flowControl })));
    for (const calls of [2, 4, 5]) {
      await front.idle();
      expect(destination.calls).toHaveLength(calls);
      clock.advance(60_000);
    }
  });
});

describe('faults in deliveries', () => {
  it('delivers again what was delivered, when its answer is lost', async () => {
    const { client, front, clock, destination } = await test.start();
    front.faults.inject({ kind: 'drop-reply', match: 'DELIVER', times: 1 });
    front.faults.inject({ kind: 'refuse', match: `DELIVER ${destination.url}/refused`, times: 1 });
    await client.publish({ url: `${destination.url}/doubled` });
    await front.idle();
    await client.publish({ url: `${destination.url}/refused` });
    await front.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/doubled']);
    clock.advance(12_000);
    await front.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/doubled', '/doubled', '/refused']);
  });
});
