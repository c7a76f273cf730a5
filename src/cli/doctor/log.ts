import { countOf, showCount } from '../../helpers/counts.ts';
import type { LogAddress } from '../../log/log-stores.ts';
import type { DatabaseFacts } from '../../postgres/inspect.ts';
import { type Finding, ok, warning } from './finding.ts';

/** Milliseconds after which what waits should have been drained: the schedule has come by. */
const LATE_MS = 60_000;
const SPACES_SHOWN_MAX = 5;

/** Pending logs of all tenants, the longest waiting first. @param nowMs by the clock of Redis */
export function judgeBacklog(dirty: readonly (LogAddress & { oldestSeq: number })[], nowMs: number): Finding {
  const id = 'log.backlog';
  const waits = dirty.map(({ tenantId, spaceId, oldestSeq }) => ({
    name: `${tenantId} ${spaceId}`,
    ms: nowMs - oldestSeq / 1_000,
  }));
  const late = waits.filter(({ ms }) => ms > LATE_MS);
  if (late.length === 0)
    return ok(
      id,
      `spaces that have something to drain: ${showCount(waits.length)}, none of them for over a minute`,
    );
  const shown = late
    .slice(0, SPACES_SHOWN_MAX)
    .map(({ name, ms }) => `${name} (${showCount(Math.round(ms / 1_000))} s)`);
  return warning(
    id,
    `not drained for over a minute: ${showCount(late.length)} of ${countOf(waits.length, 'space')} with something to drain, ${shown.join(', ')}${late.length > shown.length ? ', …' : ''}`,
    'Run worldkeep drain, which says why if it cannot; qstash.schedule tells whether anybody does so by the clock.',
  );
}

/** Records that drains wrote for one tenant. */
export function judgeLogRecords(
  { deadLetters, logsLost, logGaps, redisRestarts, readersAhead }: NonNullable<DatabaseFacts['logRecords']>,
  tenantId: string,
): Finding[] {
  const [incidents, letters] = ['log.incidents', 'log.dead_letters'];
  return [
    logsLost + logGaps + redisRestarts + readersAhead === 0
      ? ok(incidents, `no log of tenant ${tenantId} has lost anything in the last day`)
      : warning(
          incidents,
          `incidents of tenant ${tenantId} in the last day: log_lost ${showCount(logsLost)}, log_gap ${showCount(logGaps)}, redis_restarted ${showCount(redisRestarts)}, reader_ahead ${showCount(readersAhead)}`,
          'log_lost and log_gap: writes that were queued and not committed are gone. redis_restarted and reader_ahead: some may be. The table incidents names the spaces and the seqs. See redis.eviction and redis.durability.',
        ),
    deadLetters === 0
      ? ok(letters, `tenant ${tenantId} has no dead letters`)
      : warning(
          letters,
          `operations of tenant ${tenantId} that could not be kept, to be looked at: ${showCount(deadLetters)}`,
          'GET /v1/dead-letters lists them with their errors. POST …/{id}/replay sends one again, DELETE deletes it.',
        ),
  ];
}
