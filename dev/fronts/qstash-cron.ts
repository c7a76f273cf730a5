import { Cron } from 'croner';
import { BadRequest } from './http.ts';

/**
 * The first time after `afterMs` that a 5-field cron expression names, in UTC or the zone of a
 * `CRON_TZ=Europe/Berlin ` before it. Throws {@link BadRequest} for an expression that is none, or names no time.
 */
export function findNextRun(expression: string, afterMs: number): number {
  const [, timezone = 'UTC', pattern = ''] = /^(?:CRON_TZ=(\S+)\s+)?(.*)$/.exec(expression.trim()) ?? [];
  const next = readCron(expression, () =>
    new Cron(pattern, { timezone, mode: '5-part' }).nextRun(new Date(afterMs)),
  );
  if (next === null) throw new BadRequest(`cron expression never comes: ${expression}`);
  return next.getTime();
}

function readCron<T>(expression: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BadRequest(`invalid cron expression: ${expression} (${why})`);
  }
}
