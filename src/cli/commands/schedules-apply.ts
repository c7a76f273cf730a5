import { parseQueueConfig, type QueueConfig } from '../../config.ts';
import type { AppliedSchedule } from '../../qstash/schedules.ts';
import { AppError } from '../../world/errors.ts';
import { type Context, defineCommand, JSON_OPTION } from '../command.ts';
import { readQueueEnv } from '../deployment.ts';
import { UsageError } from '../errors.ts';

export const schedulesApplyCommand = defineCommand({
  name: 'schedules apply',
  description:
    'Have QStash call the drain, the cleanup, the refresh of analytics and the seals of the audit at the configured times. It may run again at any time',
  args: { ...JSON_OPTION },
  examples: ['schedules apply'],
  async run(_, context) {
    const config = readConfig(context);
    // Loaded here: no other command needs it.
    const { createSchedules } = await import('../../qstash/schedules.ts');
    const schedules = await createSchedules(config).apply();
    return { document: { schedules }, text: schedules.map(describe).join('\n') };
  },
});

function readConfig(context: Context): QueueConfig {
  try {
    return parseQueueConfig(readQueueEnv(context));
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured')
      throw new UsageError(error.message, { showUsage: false });
    throw error;
  }
}

function describe({ scheduleId, cron, destination, changed, before }: AppliedSchedule): string {
  const what = `${scheduleId}: ${cron} calls ${destination}`;
  if (!changed) return `${what} (as it was)`;
  if (before === null) return `${what} (new)`;
  return `${what} (was: ${before.cron} calls ${before.destination}${before.isPaused ? ', paused' : ''})`;
}
