import { Client, QstashError, type Schedule } from '@upstash/qstash';
import { AppError } from '../world/errors.ts';
import { DRAIN_PATH, type QueueOptions } from './queue.ts';

export interface ScheduleOptions extends QueueOptions {
  /** When QStash starts a drain of all spaces with a backlog: five cron fields, in UTC. */
  drainScheduleCron: string;
  /** When QStash calls the cleanup. */
  cleanupScheduleCron: string;
  /** When QStash has the figures of analytics counted again. */
  refreshScheduleCron: string;
  /** When QStash has new audit rows sealed. */
  sealScheduleCron: string;
}

export interface AppliedSchedule {
  scheduleId: string;
  cron: string;
  destination: string;
  /** Whether `apply` changed the schedule. */
  changed: boolean;
  /** The earlier schedule with this id; null: there was none. */
  before: { cron: string; destination: string; isPaused: boolean } | null;
}

export interface Schedules {
  /** Creates or updates every schedule. A repeat changes nothing. @throws store_unavailable, misconfigured */
  apply(): Promise<AppliedSchedule[]>;
  /** All schedules of the account, also of other deployments. @throws store_unavailable, misconfigured */
  list(): Promise<Schedule[]>;
}

/** Constant, so that a later `apply` finds the schedule. */
export const DRAIN_SCHEDULE_ID = 'worldkeep-drain';
export const CLEANUP_SCHEDULE_ID = 'worldkeep-cleanup';
export const REFRESH_SCHEDULE_ID = 'worldkeep-refresh-views';
export const SEAL_SCHEDULE_ID = 'worldkeep-seal-audit';
const CLEANUP_PATH = '/jobs/cleanup';
const REFRESH_PATH = '/jobs/refresh-views';
const SEAL_PATH = '/jobs/seal-audit';

/** The schedules of a deployment. Only tools use it: QStash's client is too large for the Worker. */
export function createSchedules({
  url,
  token,
  publicUrl,
  drainScheduleCron,
  cleanupScheduleCron,
  refreshScheduleCron,
  sealScheduleCron,
}: ScheduleOptions): Schedules {
  // devMode is off: QSTASH_DEV must not replace the configured queue.
  const client = new Client({ baseUrl: url, token, devMode: false, enableTelemetry: false, retry: false });
  const wanted = [
    { scheduleId: DRAIN_SCHEDULE_ID, cron: drainScheduleCron, destination: publicUrl + DRAIN_PATH },
    { scheduleId: CLEANUP_SCHEDULE_ID, cron: cleanupScheduleCron, destination: publicUrl + CLEANUP_PATH },
    { scheduleId: REFRESH_SCHEDULE_ID, cron: refreshScheduleCron, destination: publicUrl + REFRESH_PATH },
    { scheduleId: SEAL_SCHEDULE_ID, cron: sealScheduleCron, destination: publicUrl + SEAL_PATH },
  ];
  const list = () => explain(client.schedules.list());

  async function apply(schedule: (typeof wanted)[number], found: Schedule | undefined): Promise<boolean> {
    const { scheduleId, cron, destination } = schedule;
    const isSame = found?.cron === cron && found.destination === destination && found.method === 'POST';
    if (!isSame)
      await explain(
        client.schedules.create({
          scheduleId,
          cron,
          destination,
          method: 'POST',
          body: '{}',
          headers: { 'Content-Type': 'application/json' },
        }),
      );
    if (found?.isPaused) await explain(client.schedules.resume({ schedule: scheduleId }));
    return !isSame || found?.isPaused === true;
  }

  return {
    list,
    async apply() {
      const known = await list();
      const applied: AppliedSchedule[] = [];
      for (const schedule of wanted) {
        const found = known.find(({ scheduleId }) => scheduleId === schedule.scheduleId);
        const changed = await apply(schedule, found);
        const before = found && {
          cron: found.cron,
          destination: found.destination,
          isPaused: found.isPaused,
        };
        applied.push({ ...schedule, changed, before: before ?? null });
      }
      return applied;
    },
  };
}

async function explain<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const status = cause instanceof QstashError ? cause.status : undefined;
    if (status === 401 || status === 403)
      throw new AppError('misconfigured', 'The QStash server at QSTASH_URL does not accept QSTASH_TOKEN.', {
        cause,
      });
    const how =
      status === undefined ? 'does not answer' : `cannot complete this request now (status ${status})`;
    throw new AppError('store_unavailable', `QStash ${how}.`, { cause, retryAfterSeconds: 5 });
  }
}
