import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { TOKEN, useTestQueue } from '../../../dev/emulators/qstash-test-queue.ts';
import { runHere } from '../testing/run-here.ts';

const queue = useTestQueue();
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function open() {
  const { emulator, client } = await queue.start();
  const env = { QSTASH_URL: emulator.url, QSTASH_TOKEN: TOKEN, PUBLIC_URL: 'http://127.0.0.1:8787' };
  const list = async () =>
    (await client.schedules.list()).map(({ cron, destination }) => [cron, destination]);
  return { emulator, env, list };
}

it('makes each schedule once, and says what it made, found and changed', async () => {
  const { env, list } = await open();
  const destination = 'http://127.0.0.1:8787/jobs/drain';
  const cleanupUrl = 'http://127.0.0.1:8787/jobs/cleanup';
  const refreshUrl = 'http://127.0.0.1:8787/jobs/refresh-views';
  const sealUrl = 'http://127.0.0.1:8787/jobs/seal-audit';
  const made = await runHere(['schedules', 'apply'], { env });
  expect(made).toEqual({
    code: 0,
    stdout: `worldkeep-drain: * * * * * calls ${destination} (new)\nworldkeep-cleanup: 17 * * * * calls ${cleanupUrl} (new)\nworldkeep-refresh-views: 7 * * * * calls ${refreshUrl} (new)\nworldkeep-seal-audit: * * * * * calls ${sealUrl} (new)\n`,
    stderr: '',
  });
  expect((await runHere(['schedules', 'apply'], { env })).stdout).toContain('(as it was)');
  expect(await list()).toEqual([
    ['* * * * *', destination],
    ['17 * * * *', cleanupUrl],
    ['7 * * * *', refreshUrl],
    ['* * * * *', sealUrl],
  ]);
  const slower = { ...env, DRAIN_SCHEDULE_CRON: '*/10 * * * *' };
  expect((await runHere(['schedules', 'apply'], { env: slower })).stdout).toBe(
    `worldkeep-drain: */10 * * * * calls ${destination} (was: * * * * * calls ${destination})\nworldkeep-cleanup: 17 * * * * calls ${cleanupUrl} (as it was)\nworldkeep-refresh-views: 7 * * * * calls ${refreshUrl} (as it was)\nworldkeep-seal-audit: * * * * * calls ${sealUrl} (as it was)\n`,
  );
  const { code, stdout } = await runHere(['schedules', 'apply', '--json'], { env: slower });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    schedules: [
      {
        scheduleId: 'worldkeep-drain',
        cron: '*/10 * * * *',
        destination,
        changed: false,
        before: { cron: '*/10 * * * *', destination, isPaused: false },
      },
      {
        scheduleId: 'worldkeep-cleanup',
        cron: '17 * * * *',
        destination: cleanupUrl,
        changed: false,
        before: { cron: '17 * * * *', destination: cleanupUrl, isPaused: false },
      },
      {
        scheduleId: 'worldkeep-refresh-views',
        cron: '7 * * * *',
        destination: refreshUrl,
        changed: false,
        before: { cron: '7 * * * *', destination: refreshUrl, isPaused: false },
      },
      {
        scheduleId: 'worldkeep-seal-audit',
        cron: '* * * * *',
        destination: sealUrl,
        changed: false,
        before: { cron: '* * * * *', destination: sealUrl, isPaused: false },
      },
    ],
  });
});

it('is of the local stack where the environment names no queue', async () => {
  const { emulator, list } = await open();
  const folder = await mkdtemp(join(tmpdir(), 'worldkeep-cli-'));
  folders.push(folder);
  await mkdir(join(folder, '.worldkeep'));
  const local = { url: 'http://127.0.0.1:8123', qstashUrl: emulator.url, qstashToken: TOKEN };
  await writeFile(join(folder, '.worldkeep', 'dev.json'), JSON.stringify(local));
  expect(await runHere(['schedules', 'apply'], { cwd: folder })).toMatchObject({ code: 0 });
  expect(await list()).toEqual([
    ['* * * * *', 'http://127.0.0.1:8123/jobs/drain'],
    ['17 * * * *', 'http://127.0.0.1:8123/jobs/cleanup'],
    ['7 * * * *', 'http://127.0.0.1:8123/jobs/refresh-views'],
    ['* * * * *', 'http://127.0.0.1:8123/jobs/seal-audit'],
  ]);
});

it('says in one sentence what is missing or wrong, never the token', async () => {
  const { env } = await open();
  const run = async (changes: Record<string, string>) => {
    const { code, stderr } = await runHere(['schedules', 'apply'], { env: { ...env, ...changes } });
    expect(stderr).not.toMatch(/hunter2|a-token/);
    return [code, stderr];
  };
  expect(await run({ PUBLIC_URL: '' })).toEqual([2, expect.stringContaining('PUBLIC_URL must be set')]);
  expect(await run({ QSTASH_TOKEN: '' })).toEqual([2, expect.stringContaining('QSTASH_TOKEN must be set')]);
  expect(await run({ DRAIN_SCHEDULE_CRON: 'hourly' })).toEqual([
    2,
    expect.stringContaining('DRAIN_SCHEDULE_CRON must be a cron schedule'),
  ]);
  expect(await run({ QSTASH_TOKEN: 'hunter2' })).toEqual([
    1,
    expect.stringContaining('does not accept QSTASH_TOKEN'),
  ]);
  expect(await run({ QSTASH_URL: 'http://127.0.0.1:9' })).toEqual([
    1,
    expect.stringContaining('QStash does not answer'),
  ]);
});
