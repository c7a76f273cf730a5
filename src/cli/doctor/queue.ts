import { type Env, parseQueueConfig } from '../../config.ts';
import { AppError } from '../../world/errors.ts';
import { type Finding, ok, warning, wrong } from './finding.ts';

const ID = 'qstash.schedule';
const APPLY = 'Run worldkeep schedules apply.';

/** Whether somebody comes by the clock to drain what no other call has. */
export async function examineQueue(env: Env): Promise<Finding[]> {
  if (!env.QSTASH_TOKEN)
    return [
      warning(
        ID,
        'no QStash is configured: what a drain that ended early leaves in a log waits for the next write to its space',
        'Set QSTASH_TOKEN, its signing keys and PUBLIC_URL, and run worldkeep schedules apply; or run worldkeep drain by a clock of your own.',
      ),
    ];
  try {
    const config = parseQueueConfig(env);
    // Loaded here: the client is large.
    const [{ createSchedules, DRAIN_SCHEDULE_ID }, { DRAIN_PATH }] = await Promise.all([
      import('../../qstash/schedules.ts'),
      import('../../qstash/queue.ts'),
    ]);
    const schedules = await createSchedules(config).list();
    const found = schedules.find(({ scheduleId }) => scheduleId === DRAIN_SCHEDULE_ID);
    const wanted = { cron: config.drainScheduleCron, destination: config.publicUrl + DRAIN_PATH };
    if (found === undefined)
      return [wrong(ID, `QStash has no schedule ${DRAIN_SCHEDULE_ID}: nobody drains by the clock`, APPLY)];
    const { cron, destination, isPaused } = found;
    const is = `${DRAIN_SCHEDULE_ID}: ${cron} calls ${destination}`;
    if (isPaused) return [wrong(ID, `${is}, but it is paused`, APPLY)];
    if (cron !== wanted.cron || destination !== wanted.destination)
      return [wrong(ID, `${is}, and not ${wanted.cron} ${wanted.destination}`, APPLY)];
    return [ok(ID, is)];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [wrong(ID, error.message, 'Check QSTASH_URL, QSTASH_TOKEN and PUBLIC_URL.')];
  }
}
