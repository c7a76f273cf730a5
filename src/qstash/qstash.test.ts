import { afterEach, describe, expect, it, vi } from 'vitest';
import { CURRENT_KEY, NEXT_KEY, TOKEN, useTestQueue } from '../../dev/emulators/qstash-test-queue.ts';
import { createQueue } from './queue.ts';
import { createSchedules } from './schedules.ts';

const queue = useTestQueue();
const SPACE = { tenantId: 't', spaceId: 's' };
/** No server listens there. */
const NOWHERE = 'http://127.0.0.1:9';

describe('a message to drain a space', () => {
  it('is delivered after its delay, signed, with the space in its body', async () => {
    const { emulator, clock, destination } = await queue.start();
    const { publishDrain } = createQueue({
      url: `${emulator.url}/`,
      token: TOKEN,
      publicUrl: destination.url,
    });
    await publishDrain({ ...SPACE, delaySeconds: 5 });
    clock.advance(4_999);
    await emulator.idle();
    expect(destination.calls).toEqual([]);
    clock.advance(1);
    await destination.waitForCalls(1);
    const [call] = destination.calls;
    expect(call).toMatchObject({ method: 'POST', path: '/jobs/drain', body: JSON.stringify(SPACE) });
    expect(call?.headers['content-type']).toBe('application/json');
    expect(await queue.verify(call, `${destination.url}/jobs/drain`, CURRENT_KEY, NEXT_KEY)).toBe(true);
  });

  it('is a new one each time: an equal message within ten minutes is delivered too', async () => {
    const { emulator, clock, destination } = await queue.start();
    const { publishDrain } = createQueue({ url: emulator.url, token: TOKEN, publicUrl: destination.url });
    await publishDrain({ ...SPACE, delaySeconds: 0 });
    await publishDrain({ ...SPACE, delaySeconds: 0 });
    clock.advance(1);
    await destination.waitForCalls(2);
    expect(new Set(destination.calls.map(({ headers }) => headers['upstash-message-id'])).size).toBe(2);
  });

  it.each([
    ['an unknown token', {}, { token: 'hunter2' }],
    ['an address without a server', { url: NOWHERE }, {}],
    ['a destination that QStash refuses', {}, { publicUrl: 'https://elsewhere.example' }],
  ])('fails with %s, and no error shows the token', async (_, where, changes) => {
    const { emulator, destination } = await queue.start();
    const { publishDrain } = createQueue({
      url: emulator.url,
      token: TOKEN,
      publicUrl: destination.url,
      ...where,
      ...changes,
    });
    const failure = await publishDrain({ ...SPACE, delaySeconds: 0 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'AppError', code: 'store_unavailable' });
    expect(String(failure)).not.toMatch(/hunter2|a-token/);
  });
});

describe('schedules', () => {
  afterEach(() => vi.unstubAllEnvs());

  async function open(changes: { drainScheduleCron?: string } = {}) {
    const started = await queue.start();
    const options = {
      url: started.emulator.url,
      token: TOKEN,
      publicUrl: started.destination.url,
      drainScheduleCron: '* * * * *',
      cleanupScheduleCron: '17 * * * *',
      refreshScheduleCron: '7 * * * *',
      sealScheduleCron: '* * * * *',
      ...changes,
    };
    return { ...started, options };
  }

  it('are created once, also if they are applied again', async () => {
    const { options, destination, client } = await open();
    const schedules = [
      { scheduleId: 'worldkeep-drain', cron: '* * * * *', destination: `${destination.url}/jobs/drain` },
      {
        scheduleId: 'worldkeep-cleanup',
        cron: '17 * * * *',
        destination: `${destination.url}/jobs/cleanup`,
      },
      {
        scheduleId: 'worldkeep-refresh-views',
        cron: '7 * * * *',
        destination: `${destination.url}/jobs/refresh-views`,
      },
      {
        scheduleId: 'worldkeep-seal-audit',
        cron: '* * * * *',
        destination: `${destination.url}/jobs/seal-audit`,
      },
    ];
    expect(await createSchedules(options).apply()).toEqual(
      schedules.map((schedule) => ({ ...schedule, changed: true, before: null })),
    );
    expect(await createSchedules(options).apply()).toEqual(
      schedules.map((schedule) => ({
        ...schedule,
        changed: false,
        before: { cron: schedule.cron, destination: schedule.destination, isPaused: false },
      })),
    );
    const listed = await client.schedules.list();
    expect(listed).toHaveLength(schedules.length);
    for (const schedule of schedules)
      expect(listed).toContainEqual(expect.objectContaining({ ...schedule, method: 'POST' }));
    expect(await createSchedules(options).list()).toEqual(listed);
  });

  it('follow the configuration, and resume after a pause', async () => {
    const { options, client } = await open();
    await createSchedules(options).apply();
    await client.schedules.pause({ schedule: 'worldkeep-drain' });
    const [resumed] = await createSchedules(options).apply();
    expect(resumed).toMatchObject({ changed: true, before: { isPaused: true } });
    const [changed] = await createSchedules({ ...options, drainScheduleCron: '*/5 * * * *' }).apply();
    expect(changed).toMatchObject({ changed: true, before: { cron: '* * * * *' } });
    const drain = (await client.schedules.list()).find(({ scheduleId }) => scheduleId === 'worldkeep-drain');
    expect(drain).toMatchObject({ cron: '*/5 * * * *', isPaused: false });
  });

  it('leave schedules of other deployments alone', async () => {
    const { options, client, destination } = await open();
    await client.schedules.create({ scheduleId: 'mine', destination: destination.url, cron: '0 0 1 1 *' });
    await createSchedules(options).apply();
    const ids = (await client.schedules.list()).map(({ scheduleId }) => scheduleId);
    expect(ids.toSorted()).toEqual([
      'mine',
      'worldkeep-cleanup',
      'worldkeep-drain',
      'worldkeep-refresh-views',
      'worldkeep-seal-audit',
    ]);
  });

  it('call the drain without a space when their time comes', async () => {
    const { options, clock, destination } = await open();
    await createSchedules(options).apply();
    clock.advance(60_000);
    await destination.waitForCalls(2);
    for (const path of ['/jobs/drain', '/jobs/seal-audit'])
      expect(destination.calls).toContainEqual(expect.objectContaining({ method: 'POST', path, body: '{}' }));
  });

  it('belong to the configured queue, and ignore QSTASH_DEV', async () => {
    const { options, client } = await open();
    vi.stubEnv('QSTASH_DEV', 'true');
    await createSchedules(options).apply();
    vi.unstubAllEnvs();
    expect(await client.schedules.list()).toHaveLength(4);
  });

  it.each([
    ['misconfigured', 'an unknown token', { token: 'hunter2' }],
    ['store_unavailable', 'an address without a server', { url: NOWHERE }],
    ['store_unavailable', 'a destination that QStash refuses', { publicUrl: 'https://elsewhere.example' }],
  ])('fail as %s with %s, and no error shows the token', async (code, _, changes) => {
    const { options } = await open();
    const failure = await createSchedules({ ...options, ...changes })
      .apply()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'AppError', code });
    expect(String(failure)).not.toMatch(/hunter2|a-token/);
  });
});
