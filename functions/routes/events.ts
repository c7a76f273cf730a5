import { postEvents } from '../api/events.ts';
import { EVENT_COUNTS, EVENTS_INPUT } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, json } from './shorthand.ts';

export const EVENT_ROUTES: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/events',
    operationId: 'postEvents',
    tag: 'Events',
    access: ['write', 'viewer', 'any'],
    handler: postEvents,
    summary: 'Send events for analysts',
    description:
      'A request has 1 to 1,000 events. They are no part of any world. If one event is invalid, none is taken. The `id` of an event is its idempotency key: for an hour, another event with it is a duplicate. Under load events are dropped, and the answer counts them. A session sends events only of its own person and space, and only of types that the server does not write.',
    body: json('Events', EVENTS_INPUT),
    answers: {
      202: answer(
        'How many events were taken. A taken event is usually in Postgres within 2 s.',
        'EventCounts',
        EVENT_COUNTS,
      ),
    },
  },
];
