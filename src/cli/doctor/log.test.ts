import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOKEN, useTestQueue } from '../../../dev/emulators/qstash-test-queue.ts';
import { stack } from '../../../test/support.ts';
import { runDoctor } from '../testing/doctor-report.ts';
import { runHere } from '../testing/run-here.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
beforeAll(async () => {
  at = await openWorkplace();
});
afterAll(() => at?.close());
const examine = (env: Record<string, string>) => runDoctor(env, at.folder);

/** Past row security. */
async function query(...statements: string[]): Promise<void> {
  const { superuserUrl, databaseUrl } = stack();
  const { pathname } = new URL(databaseUrl);
  const client = new pg.Client({ connectionString: Object.assign(new URL(superuserUrl), { pathname }).href });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

describe('worldkeep doctor, of what the drain wrote down', () => {
  it('counts the dead letters and the incidents of the tenant whose key it has', async () => {
    const env = { ...at.env, DATABASE_URL: stack().databaseUrl };
    const before = await examine(env);
    for (const id of ['log.incidents', 'log.dead_letters'])
      expect(before.find(id)).toMatchObject({ status: 'ok', message: expect.stringContaining(at.tenant) });
    const letter = (id: string, replayed: string) =>
      `INSERT INTO dead_letters (tenant_id, dead_letter_id, space_id, incarnation, seq, index, kind, target_id, op, replayed_at)
       VALUES ('${at.tenant}', '${id}', 's', 'i', 1, 0, 'object', 'o', '{}', ${replayed})`;
    const incident = (id: string, kind: string, age: string) =>
      `INSERT INTO incidents (tenant_id, incident_id, space_id, kind, detail, created_at)
       VALUES ('${at.tenant}', '${id}', 's', '${kind}', '{}', now() - interval '${age}')`;
    await query(
      ...[letter('a', 'NULL'), letter('b', 'NULL'), letter('c', 'now()')],
      ...[incident('a', 'log_lost', '1 hour'), incident('b', 'log_gap', '2 hours')],
      incident('c', 'log_gap', '2 days'),
    );
    const report = await examine(env);
    expect([report.code, report.wrong]).toEqual([0, []]);
    expect(report.find('log.dead_letters')).toMatchObject({
      status: 'warning',
      message: `operations of tenant ${at.tenant} that could not be kept, to be looked at: 2`,
    });
    expect(report.find('log.incidents')).toMatchObject({
      status: 'warning',
      message: `incidents of tenant ${at.tenant} in the last day: log_lost 1, log_gap 1, redis_restarted 0, reader_ahead 0`,
    });
    await query(
      `DELETE FROM dead_letters WHERE tenant_id = '${at.tenant}'`,
      `DELETE FROM incidents WHERE tenant_id = '${at.tenant}'`,
    );
  });
});

describe('worldkeep doctor, of the schedule', () => {
  const queue = useTestQueue();
  const id = 'qstash.schedule';

  it('says whether it is there, as it should be, and not paused', async () => {
    const { emulator, client } = await queue.start();
    const env = {
      DATABASE_URL: stack().databaseUrl,
      UPSTASH_REDIS_REST_URL: stack().redisRestUrl,
      UPSTASH_REDIS_REST_TOKEN: stack().redisRestToken,
      QSTASH_URL: emulator.url,
      QSTASH_TOKEN: TOKEN,
      QSTASH_CURRENT_SIGNING_KEY: randomBytes(16).toString('hex'),
      QSTASH_NEXT_SIGNING_KEY: randomBytes(16).toString('hex'),
      PUBLIC_URL: 'http://127.0.0.1:8787',
    };
    const find = async (changes: Record<string, string> = {}) =>
      (await examine({ ...env, ...changes })).find(id);
    expect(await find()).toMatchObject({
      status: 'wrong',
      message: expect.stringContaining('has no schedule worldkeep-drain'),
      remedy: 'Run worldkeep schedules apply.',
    });
    await runHere(['schedules', 'apply'], { env });
    expect(await find()).toEqual({
      id,
      status: 'ok',
      message: 'worldkeep-drain: * * * * * calls http://127.0.0.1:8787/jobs/drain',
    });
    expect(await find({ DRAIN_SCHEDULE_CRON: '*/5 * * * *' })).toMatchObject({
      status: 'wrong',
      message: expect.stringContaining('and not */5 * * * *'),
    });
    await client.schedules.pause({ schedule: 'worldkeep-drain' });
    expect(await find()).toMatchObject({ status: 'wrong', message: expect.stringContaining('paused') });
    expect(await find({ QSTASH_TOKEN: 'another' })).toMatchObject({
      status: 'wrong',
      message: expect.stringContaining('does not accept QSTASH_TOKEN'),
    });
  });

  it('says that nobody comes by the clock where there is no queue', async () => {
    const report = await examine({
      DATABASE_URL: stack().databaseUrl,
      UPSTASH_REDIS_REST_URL: stack().redisRestUrl,
      UPSTASH_REDIS_REST_TOKEN: stack().redisRestToken,
    });
    expect([report.code, report.find(id)?.status]).toEqual([0, 'warning']);
  });
});
