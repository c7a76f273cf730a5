import * as z from 'zod';
import { LIMITS } from '../../src/world/limits.ts';
import { pageLimitSchema } from '../../src/world/schemas.ts';
import { getChanges } from '../api/changes.ts';
import { getStream } from '../api/stream.ts';
import { CHANGES, EVENTS } from '../openapi/examples.ts';
import type { QueryDoc, Route } from '../openapi/types.ts';
import { answer } from './shorthand.ts';

const since = (description: string): QueryDoc => ({
  schema: z.string().regex(/^\d{1,16}$/),
  description,
  example: '1795342742930000',
});

const expand: QueryDoc = {
  schema: z.literal('operations'),
  description: 'Shows each `move` as patches, one for each element; without it a move stays in columns.',
  example: 'operations',
};

export const CHANGE_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/spaces/{space}/changes',
    operationId: 'getChanges',
    tag: 'Updates',
    access: ['read', 'viewer', 'space'],
    handler: getChanges,
    summary: 'The changes since a seq, for polling',
    description:
      'Committed entries stay in the log for a minute. If the log no longer has all changes after `since`, or the world was replaced, the answer is 410. Then load the state, and continue from its `seq`.',
    query: {
      since: since('Changes behind this seq, oldest first; none where it is not given, only `head`.'),
      limit: {
        schema: pageLimitSchema,
        description: 'The largest number of entries, of 1 MiB together. Default 100.',
        example: 50,
      },
      expand,
    },
    answers: { 200: answer('The changes.', 'Changes', CHANGES) },
    problems: ['not_found', 'trimmed', 'no_live_log'],
  },
  {
    method: 'get',
    path: '/v1/spaces/{space}/stream',
    operationId: 'getStream',
    tag: 'Updates',
    // A browser's EventSource sets no header.
    access: ['read', 'viewer', 'space'],
    handler: getStream,
    fromQuery: true,
    summary: 'The changes, live',
    description: `Server-sent events. \`change\`: \`{seq, prev, actor, ops}\`, each once, in order, without gaps: \`prev\` is the seq of the previous entry. \`reset\`: \`{seq}\`: earlier changes cannot be sent, so load the state at that seq or later. \`presence\`: people join and leave. \`committed\`, with \`committed=true\`: \`{seq}\`: Postgres has committed the log up to that seq. A comment is sent every ${LIMITS.streamHeartbeatSecondsDefault} s. A client that does not read is disconnected. A client that returns with \`Last-Event-ID\`, as an EventSource does, misses nothing. The stream ends with its credential or its space. Open streams are limited to ${LIMITS.streamsPerSpaceMax} of a space, ${LIMITS.streamsPerKeyMax} of a key and ${LIMITS.streamsPerSessionMax} of a session.`,
    query: {
      since: since('Begin behind this seq, where there is no `Last-Event-ID`; from now on where neither is.'),
      access_token: {
        schema: z.string(),
        description:
          'The credential. Only this route accepts it here, because an EventSource cannot set headers.',
      },
      expand,
      committed: {
        schema: z.boolean(),
        description:
          'Also sends `committed` events, without an id. Each comes after the change with its seq. Default false.',
        example: true,
      },
    },
    headers: ['Last-Event-ID'],
    answers: {
      200: {
        description: 'Events, until either side ends the stream.',
        content: { 'text/event-stream': { schema: { type: 'string' }, examples: { events: EVENTS } } },
      },
    },
    problems: ['not_found', 'no_live_log', 'too_many_streams'],
  },
];
