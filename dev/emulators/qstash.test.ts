import { type Client, QstashError } from '@upstash/qstash';
import { describe, expect, it } from 'vitest';
import { startQStashEmulator } from './qstash.ts';
import { CURRENT_KEY, NEXT_KEY, START_MS, TOKEN, useTestQueue } from './qstash-test-queue.ts';

const MINUTE_MS = 60_000;
const test = useTestQueue();

describe('publish', () => {
  it('delivers the body, method and forwarded headers, signed so that the receiver takes it', async () => {
    const { client, emulator, destination } = await test.start();
    const url = `${destination.url}/jobs/drain?space=a%20b&x=//y`;
    const { messageId } = await client.publishJSON({
      url,
      body: { text: 'ü🌍' },
      headers: { 'X-Own': 'mine', 'Upstash-Forward-Upstash-Retried': '99' },
    });
    await emulator.idle();
    const [call] = destination.calls;
    expect(call).toMatchObject({
      method: 'POST',
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
  });

  it('waits for a delay', async () => {
    const { client, emulator, clock, destination } = await test.start();
    await client.publish({ url: destination.url, delay: 90, body: 'x' });
    for (const [ms, calls] of [
      [89_999, 0],
      [1, 1],
    ] as const) {
      clock.advance(ms);
      await emulator.idle();
      expect(destination.calls).toHaveLength(calls);
    }
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
    ['header upstash-deduplication-id', { url: 'http://127.0.0.1:1', deduplicationId: 'once' }],
    ['delivers by POST, not by PUT', { url: 'http://127.0.0.1:1', method: 'PUT' }],
  ])('refuses a publish: %s', async (message, request) => {
    const { client } = await test.start();
    await expect(client.publish(request)).rejects.toThrow(message);
  });

  it('wants the token', async () => {
    const { emulator } = await test.start();
    const refused = await fetch(`${emulator.url}/v2/publish/http://127.0.0.1:1`, { method: 'POST' });
    expect(refused.status).toBe(401);
  });
});

describe('schedules', () => {
  it('calls the destination each time the expression names', async () => {
    const { client, emulator, clock, destination } = await test.start();
    const url = `${destination.url}/jobs/sweep`;
    const { scheduleId } = await client.schedules.create({
      destination: url,
      cron: '*/5 * * * *',
      scheduleId: 'sweep',
      body: '{"a":1}',
      retries: 0,
    });
    expect(scheduleId).toBe('sweep');
    expect(await client.schedules.list()).toMatchObject([
      {
        cron: '*/5 * * * *',
        destination: url,
        retries: 0,
        isPaused: false,
        nextScheduleTime: START_MS + 5 * MINUTE_MS,
      },
    ]);
    for (const minutes of [4, 1, 5]) {
      clock.advance(minutes * MINUTE_MS);
      await emulator.idle();
    }
    expect(destination.calls).toHaveLength(2);
    expect(destination.calls[0]).toMatchObject({
      body: '{"a":1}',
      headers: { 'upstash-schedule-id': 'sweep', 'content-type': 'application/json' },
    });
    expect(await test.verify(destination.calls[0], url, CURRENT_KEY, NEXT_KEY)).toBe(true);
  });

  it('replaces the schedule of the same id', async () => {
    const { client, emulator, clock, destination } = await test.start();
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
    await emulator.idle();
    expect(destination.calls.map(({ path }) => path)).toEqual(['/2']);
    expect(await client.schedules.list()).toHaveLength(1);
  });

  it('rests while paused, and does not make up for it', async () => {
    const { client, emulator, clock, destination } = await test.start();
    const { scheduleId } = await client.schedules.create({ destination: destination.url, cron: '* * * * *' });
    await client.schedules.pause({ schedule: scheduleId });
    clock.advance(10 * MINUTE_MS);
    await emulator.idle();
    expect(destination.calls).toHaveLength(0);
    await client.schedules.resume({ schedule: scheduleId });
    clock.advance(MINUTE_MS);
    await emulator.idle();
    expect(destination.calls).toHaveLength(1);
  });

  it('refuses what is no 5-field expression', async () => {
    const { client, destination } = await test.start();
    for (const cron of [
      '* * * * * *',
      'often',
      '61 * * * *',
      '0 0 31 2 *',
      'CRON_TZ=Europe/Berlin 0 4 * * *',
    ])
      await expect(client.schedules.create({ destination: destination.url, cron })).rejects.toThrow(
        'cron expression',
      );
  });
});

describe('a restart', () => {
  it('keeps messages, schedules and dead letters', async () => {
    const { client, emulator, clock, destination, dataFile } = await test.start();
    await client.publish({ url: `${destination.url}/later`, delay: 60, body: 'x' });
    await client.schedules.create({ destination: `${destination.url}/sweep`, cron: '* * * * *' });
    destination.answer = () => ({ status: 500 });
    await client.publish({ url: `${destination.url}/failing`, retries: 0 });
    await emulator.idle();
    await emulator.close();
    destination.answer = () => ({ status: 200 });
    clock.advance(10 * MINUTE_MS - 1);
    const again = await test.start({ dataFile, clock });
    await again.emulator.idle();
    expect(destination.calls.map(({ path }) => path).sort()).toEqual(['/failing', '/later', '/sweep']);
    const { messages } = await again.client.dlq.listMessages();
    expect(messages).toMatchObject([{ url: `${destination.url}/failing`, responseStatus: 500 }]);
  });

  it('makes an attempt again that it cut short', async () => {
    const { client, emulator, clock, destination, dataFile } = await test.start();
    destination.answer = () => null;
    await client.publish({ url: destination.url, body: 'x' });
    await destination.waitForCalls(1);
    await emulator.close();
    destination.answer = () => ({ status: 200 });
    const again = await test.start({ dataFile, clock });
    await again.emulator.idle();
    expect(destination.calls.map(({ headers }) => headers['upstash-retried'])).toEqual(['0', '0']);
  });

  it('does not start on a file that is not its own', async () => {
    const dataFile = await test.writeDataFile('not json');
    const options = { port: 0, token: TOKEN, currentSigningKey: CURRENT_KEY, dataFile };
    await expect(startQStashEmulator(options)).rejects.toThrow("is not a queue's state");
  });
});
