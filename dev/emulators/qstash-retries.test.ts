import { describe, expect, it } from 'vitest';
import { findRetryDelay } from './qstash-delivery.ts';
import { START_MS, useTestQueue } from './qstash-test-queue.ts';

const test = useTestQueue();

describe('retries', () => {
  it('tries three times more, after 12 s, 2.5 min and 30 min, then keeps a dead letter', async () => {
    const { client, emulator, clock, destination } = await test.start();
    destination.answer = () => ({ status: 500, headers: { 'x-why': 'broken' }, body: 'it is broken' });
    const { messageId } = await client.publish({
      url: destination.url,
      body: 'x',
      headers: { 'x-own': 'mine' },
    });
    await emulator.idle();
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
      await emulator.idle();
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
      },
    ]);
  });

  it('waits as long as the destination asks', async () => {
    const { client, emulator, clock, destination } = await test.start();
    const answers = ['5', '65', new Date(START_MS + 100_000).toUTCString(), '0'];
    destination.answer = () => {
      const retryAfter = answers.shift();
      return retryAfter === undefined
        ? { status: 200 }
        : { status: 429, headers: { 'retry-after': retryAfter } };
    };
    await client.publish({ url: destination.url, retries: 5 });
    await emulator.idle();
    for (const [seconds, calls] of [
      [4.999, 1],
      [0.001, 2],
      [64.999, 2],
      [0.001, 3],
      [29.999, 3],
      [0.001, 5],
    ] as const) {
      clock.advance(seconds * 1_000);
      await emulator.idle();
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
    const headers = new Headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter });
    expect(findRetryDelay(headers, retry, START_MS)).toBe(delayMs);
  });

  it('stops at 489 with the non-retryable header, and not without it', async () => {
    const { client, emulator, clock, destination } = await test.start();
    destination.answer = ({ path }) => ({
      status: 489,
      headers: path === '/final' ? { 'upstash-nonretryable-error': 'true' } : {},
    });
    await client.publish({ url: `${destination.url}/final` });
    await client.publish({ url: `${destination.url}/again` });
    await emulator.idle();
    expect((await client.dlq.listMessages()).messages).toMatchObject([{ url: `${destination.url}/final` }]);
    clock.advance(12_000);
    await emulator.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/final', '/again', '/again']);
  });

  it('counts no answer, and none in time, as a failure', async () => {
    const { client, emulator, clock, destination } = await test.start();
    destination.answer = () => null;
    await client.publish({ url: destination.url, retries: 0 });
    await destination.waitForCalls(1);
    clock.advance(900_000);
    await client.publish({ url: 'http://127.0.0.1:1/', retries: 0 });
    await emulator.idle();
    expect((await client.dlq.listMessages()).messages).toMatchObject([
      { url: destination.url, responseStatus: 0, responseBody: 'no answer within 900000 ms' },
      { url: 'http://127.0.0.1:1/', responseStatus: 0 },
    ]);
  });

  it('does not follow a redirect', async () => {
    const { client, emulator, destination } = await test.start();
    destination.answer = () => ({ status: 307, headers: { location: 'https://example.com/' } });
    await client.publish({ url: destination.url, retries: 0 });
    await emulator.idle();
    expect((await client.dlq.listMessages()).messages).toMatchObject([{ responseStatus: 307 }]);
  });
});

describe('faults in deliveries', () => {
  it('delivers again what was delivered, when its answer is lost', async () => {
    const { client, emulator, clock, destination } = await test.start();
    emulator.faults.inject({ kind: 'drop-reply', match: 'DELIVER', times: 1 });
    emulator.faults.inject({ kind: 'refuse', match: `DELIVER ${destination.url}/refused`, times: 1 });
    await client.publish({ url: `${destination.url}/doubled` });
    await emulator.idle();
    await client.publish({ url: `${destination.url}/refused` });
    await emulator.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/doubled']);
    clock.advance(12_000);
    await emulator.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/doubled', '/doubled', '/refused']);
  });
});
