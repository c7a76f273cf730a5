import { type Client, QstashError } from '@upstash/qstash';
import { describe, expect, it } from 'vitest';
import { startQStashFront } from './qstash.ts';
import { CURRENT_KEY, NEXT_KEY, START_MS, TOKEN, useTestQueue } from './qstash-test-queue.ts';

const MINUTE_MS = 60_000;
const test = useTestQueue();

describe('publish', () => {
  it('delivers the body, method and forwarded headers, signed so that the receiver takes it', async () => {
    const { client, front, destination } = await test.start();
    const url = `${destination.url}/jobs/drain?space=a%20b&x=//y`;
    const { messageId } = await client.publishJSON({
      url,
      method: 'PUT',
      body: { text: 'ü🌍' },
      headers: { 'X-Own': 'mine', 'Upstash-Forward-Upstash-Retried': '99' },
    });
    await front.idle();
    const [call] = destination.calls;
    expect(call).toMatchObject({
      method: 'PUT',
      path: '/jobs/drain?space=a%20b&x=//y',
      body: '{"text":"ü🌍"}',
      headers: {
        'content-type': 'application/json',
        'x-own': 'mine',
        'upstash-message-id': messageId,
        'upstash-retried': '0',
        'user-agent': 'Upstash-QStash',
      },
    });
    expect(await test.verify(call, url, CURRENT_KEY, NEXT_KEY)).toBe(true);
    expect(await test.verify(call, url, 'a rotated key', CURRENT_KEY)).toBe(true);
    await expect(test.verify(call, url, 'wrong', 'wrong')).rejects.toThrow('signature verification failed');
    await expect(test.verify(call, `${url}1`, CURRENT_KEY, NEXT_KEY)).rejects.toThrow('invalid subject');
    await expect(test.verify(call && { ...call, body: '{}' }, url, CURRENT_KEY, NEXT_KEY)).rejects.toThrow(
      'body hash',
    );
    await expect(client.messages.get(messageId)).rejects.toThrow('not found');
  });

  it('waits for a delay, and for a time', async () => {
    const { client, front, clock, destination } = await test.start();
    const { messageId } = await client.publish({
      url: `${destination.url}/delay`,
      delay: '90m',
      body: 'x',
    });
    const notBefore = START_MS / 1_000 + 60;
    await client.publish({ url: `${destination.url}/not-before`, notBefore, delay: 5, body: 'y' });
    expect(await client.messages.get(messageId)).toMatchObject({
      url: `${destination.url}/delay`,
      method: 'POST',
      body: 'x',
      maxRetries: 3,
      createdAt: START_MS,
      notBefore: START_MS + 90 * MINUTE_MS,
    });
    const paths = async (ms: number): Promise<string[]> => {
      clock.advance(ms);
      await front.idle();
      return destination.calls.map(({ path }) => path);
    };
    expect(await paths(MINUTE_MS - 1)).toEqual([]);
    expect(await paths(1)).toEqual(['/not-before']);
    expect(await paths(89 * MINUTE_MS - 1)).toEqual(['/not-before']);
    expect(await paths(1)).toEqual(['/not-before', '/delay']);
  });

  it('swallows a repeated deduplication id for ten minutes, also after the first is delivered', async () => {
    const { client, front, clock, destination } = await test.start();
    const publish = () => client.publish({ url: destination.url, deduplicationId: 'constant', body: 'x' });
    const first = await publish();
    await front.idle();
    expect(await publish()).toEqual({ messageId: first.messageId, deduplicated: true });
    clock.advance(10 * MINUTE_MS - 1);
    expect(await publish()).toMatchObject({ deduplicated: true });
    clock.advance(1);
    expect(await publish()).not.toHaveProperty('deduplicated');
    await front.idle();
    expect(destination.calls).toHaveLength(2);
  });

  it('knows equal content by its destination, body and headers', async () => {
    const { client, front, destination } = await test.start();
    const publish = (body: string) =>
      client.publish({ url: destination.url, body, contentBasedDeduplication: true });
    await publish('a');
    await publish('b');
    expect(await publish('a')).toMatchObject({ deduplicated: true });
    await front.idle();
    expect(destination.calls.map(({ body }) => body)).toEqual(['a', 'b']);
  });

  it('takes a batch, or refuses it whole', async () => {
    const { client, front, destination } = await test.start();
    const results = await client.batchJSON([
      { url: `${destination.url}/1`, body: { a: 1 } },
      { url: `${destination.url}/2`, body: { a: 2 }, delay: 60 },
    ]);
    expect(results).toEqual([{ messageId: expect.any(String) }, { messageId: expect.any(String) }]);
    await expect(
      client.batch([{ url: `${destination.url}/3` }, { url: 'https://example.com' }]),
    ).rejects.toThrow('to this machine only');
    await front.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/1']);
  });

  it('cancels messages', async () => {
    const { client, front, clock, destination } = await test.start();
    const publish = () => client.publish({ url: destination.url, delay: 60, body: 'x' });
    const [first, second] = [await publish(), await publish(), await publish()];
    expect(await client.messages.cancel(first.messageId)).toEqual({ cancelled: 1 });
    expect(await client.messages.cancel([second.messageId, 'unknown'])).toEqual({ cancelled: 1 });
    expect(await client.messages.cancel({ all: true })).toEqual({ cancelled: 1 });
    await expect(client.messages.cancel(first.messageId)).rejects.toThrow('not found');
    clock.advance(MINUTE_MS);
    await front.idle();
    expect(destination.calls).toEqual([]);
  });

  it.each([
    'https://example.com/',
    'http://127.0.0.1.example.com/',
    'http://127.0.0.1@example.com/',
    'http://192.168.0.1/',
    'a-group',
    'ftp://127.0.0.1/',
  ])('sends nothing outside: %s', async (url) => {
    const { client } = await test.start();
    await expect(client.publish({ url })).rejects.toThrow(/to this machine only|invalid destination url/);
    await expect(client.schedules.create({ destination: url, cron: '* * * * *' })).rejects.toThrow(
      QstashError,
    );
    await expect(client.publish({ url: 'http://localhost:1', failureCallback: url })).rejects.toThrow(
      QstashError,
    );
  });

  it.each<[string, Parameters<Client['publish']>[0]]>([
    ['invalid Upstash-Delay: soon', { url: 'http://127.0.0.1:1', delay: 'soon' as '1s' }],
    ['invalid Upstash-Retries', { url: 'http://127.0.0.1:1', retries: 1_000 }],
    ['message is 1048577 bytes', { url: 'http://127.0.0.1:1', body: 'x'.repeat(1_048_577) }],
    [
      'does not serve the header upstash-callback',
      { url: 'http://127.0.0.1:1', callback: 'http://127.0.0.1:1' },
    ],
    ['does not serve the header upstash-retry-delay', { url: 'http://127.0.0.1:1', retryDelay: '1000' }],
  ])('refuses a publish: %s', async (message, request) => {
    const { client } = await test.start();
    await expect(client.publish(request)).rejects.toThrow(message);
  });

  it('wants the token, and shows the keys', async () => {
    const { front } = await test.start();
    const refused = await fetch(`${front.url}/v2/publish/http://127.0.0.1:1`, { method: 'POST' });
    expect(refused.status).toBe(401);
    const keys = await fetch(`${front.url}/v2/keys`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(await keys.json()).toEqual({ current: CURRENT_KEY, next: NEXT_KEY });
  });
});

describe('schedules', () => {
  it('calls the destination each time the expression names, until it is deleted', async () => {
    const { client, front, clock, destination } = await test.start();
    const url = `${destination.url}/jobs/sweep`;
    const { scheduleId } = await client.schedules.create({
      destination: url,
      cron: '*/5 * * * *',
      scheduleId: 'sweep',
      body: '{"a":1}',
      retries: 0,
    });
    expect(scheduleId).toBe('sweep');
    expect(await client.schedules.get('sweep')).toMatchObject({
      cron: '*/5 * * * *',
      destination: url,
      retries: 0,
      isPaused: false,
      nextScheduleTime: START_MS + 5 * MINUTE_MS,
    });
    for (const minutes of [4, 1, 5]) {
      clock.advance(minutes * MINUTE_MS);
      await front.idle();
    }
    expect(destination.calls).toHaveLength(2);
    expect(destination.calls[0]).toMatchObject({
      body: '{"a":1}',
      headers: { 'upstash-schedule-id': 'sweep', 'content-type': 'application/json' },
    });
    expect(await test.verify(destination.calls[0], url, CURRENT_KEY, NEXT_KEY)).toBe(true);
    await client.schedules.delete('sweep');
    clock.advance(10 * MINUTE_MS);
    await front.idle();
    expect(destination.calls).toHaveLength(2);
    expect(await client.schedules.list()).toEqual([]);
    await expect(client.schedules.get('sweep')).rejects.toThrow('not found');
  });

  it('replaces the schedule of the same id', async () => {
    const { client, front, clock, destination } = await test.start();
    await client.schedules.create({
      destination: `${destination.url}/1`,
      cron: '* * * * *',
      scheduleId: 's',
    });
    await client.schedules.create({
      destination: `${destination.url}/2`,
      cron: '* * * * *',
      scheduleId: 's',
    });
    clock.advance(MINUTE_MS);
    await front.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/2']);
    expect(await client.schedules.list()).toHaveLength(1);
  });

  it('rests while paused, and does not make up for it', async () => {
    const { client, front, clock, destination } = await test.start();
    const { scheduleId } = await client.schedules.create({ destination: destination.url, cron: '* * * * *' });
    await client.schedules.pause({ schedule: scheduleId });
    clock.advance(10 * MINUTE_MS);
    await front.idle();
    expect(destination.calls).toHaveLength(0);
    await client.schedules.resume({ schedule: scheduleId });
    clock.advance(MINUTE_MS);
    await front.idle();
    expect(destination.calls).toHaveLength(1);
  });

  it('reads time zones, and refuses what is no 5-field expression', async () => {
    const { client, destination } = await test.start();
    const create = (cron: string) => client.schedules.create({ destination: destination.url, cron });
    const { scheduleId } = await create('CRON_TZ=America/New_York 0 4 * * *');
    const { nextScheduleTime } = await client.schedules.get(scheduleId);
    expect(new Date(nextScheduleTime ?? 0).toISOString()).toBe('2026-11-22T09:00:00.000Z');
    for (const cron of ['* * * * * *', 'often', '61 * * * *', '0 0 31 2 *'])
      await expect(create(cron)).rejects.toThrow('cron expression');
  });
});

describe('a restart', () => {
  it('keeps messages, schedules, dead letters and deduplication ids', async () => {
    const { client, front, clock, destination, dataFile } = await test.start();
    await client.publish({ url: `${destination.url}/later`, delay: 60, deduplicationId: 'once', body: 'x' });
    await client.schedules.create({ destination: `${destination.url}/sweep`, cron: '* * * * *' });
    destination.answer = () => ({ status: 500 });
    await client.publish({ url: `${destination.url}/failing`, retries: 0 });
    await front.idle();
    await front.close();
    destination.answer = () => ({ status: 200 });
    clock.advance(10 * MINUTE_MS - 1);
    const again = await test.start({ dataFile, clock });
    await again.front.idle();
    expect(destination.calls.map(({ path }) => path).sort()).toEqual(['/failing', '/later', '/sweep']);
    const { messages } = await again.client.dlq.listMessages();
    expect(messages).toMatchObject([{ url: `${destination.url}/failing`, responseStatus: 500 }]);
    const repeated = await again.client.publish({ url: destination.url, deduplicationId: 'once' });
    expect(repeated).toMatchObject({ deduplicated: true });
  });

  it('makes an attempt again that it cut short', async () => {
    const { client, front, clock, destination, dataFile } = await test.start();
    destination.answer = () => null;
    await client.publish({ url: destination.url, body: 'x' });
    await destination.waitForCalls(1);
    await front.close();
    destination.answer = () => ({ status: 200 });
    const again = await test.start({ dataFile, clock });
    await again.front.idle();
    expect(destination.calls.map(({ headers }) => headers['upstash-retried'])).toEqual(['0', '0']);
  });

  it('does not start on a file that is not its own', async () => {
    const dataFile = await test.writeDataFile('not json');
    const keys = { currentSigningKey: CURRENT_KEY, nextSigningKey: NEXT_KEY };
    await expect(startQStashFront({ port: 0, token: TOKEN, ...keys, dataFile })).rejects.toThrow(
      "is not a queue's state",
    );
  });
});
