import { tryGetContext } from 'hono/context-storage';
import { uuidv7 } from 'uuidv7';
import type { SessionOptions } from '../src/access/sessions.ts';
import type { Config } from '../src/config.ts';
import { EventLog } from '../src/events/event-log.ts';
import { type OwnEvent, OwnEvents } from '../src/events/own-events.ts';
import { pause } from '../src/helpers/time.ts';
import type { PresenceChange } from '../src/live/presence.ts';
import type { Counting } from '../src/metrics/metrics.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createEventTable } from '../src/postgres/event-table.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { createEventLogStore } from '../src/redis/event-log.ts';
import type { AppEnv } from './http/context.ts';
import { readDefer } from './http/defer.ts';
import { describeError } from './http/describe-error.ts';
import type { Log } from './http/log.ts';

/** The log of events, and the events of the product itself that no handler writes. */
export function openEvents(
  config: Config,
  redis: RedisClient | null,
  postgres: Postgres,
  {
    now,
    log,
    metrics,
    defer,
  }: { now: () => number; log: Log; metrics: Counting; defer: (work: Promise<unknown>) => void },
) {
  const events = new EventLog(redis && createEventLogStore(redis), createEventTable(postgres), {
    now,
    pause,
    createId: uuidv7,
    isEnabled: config.analyticsEnabled,
    count: (_, { outcome = '', reason = '' }, n) =>
      metrics.add('worldkeep_events_total', { outcome, reason }, n),
    onEvent: ({ event, cause }) => log('warn', event, { causes: describeError(cause) }),
  });
  const ownEvents = new OwnEvents(events, { now, pause });

  function record(tenantId: string, event: OwnEvent): void {
    const c = tryGetContext<AppEnv>();
    ownEvents.record(tenantId, event, c === undefined ? defer : readDefer(c));
  }

  const onSession: NonNullable<SessionOptions['onSession']> = ({ tenantId, sessionId, ...session }) => {
    const { spaceId, userId } = session;
    if (session.event === 'start')
      record(tenantId, {
        type: 'session.start',
        spaceId,
        userId,
        at: session.createdAt,
        data: { sessionId },
      });
    else
      record(tenantId, {
        type: 'session.end',
        spaceId,
        userId,
        data: { sessionId, seconds: session.seconds },
      });
  };
  function onPresence({ tenantId, spaceId, userId, event }: PresenceChange): void {
    if (event === 'join') record(tenantId, { type: 'user.spawn', spaceId, userId });
    else record(tenantId, { type: 'user.leave', spaceId, userId, data: { isSilent: event === 'time_out' } });
  }

  return {
    events,
    ownEvents,
    onSession,
    onPresence,
    /** The process ends: held events are appended, and claimed drains begin. */
    async endEvents(): Promise<void> {
      await ownEvents.end(defer);
      events.end();
    },
  };
}
