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
    summary: 'What has changed since, for who asks now and then',
    description:
      'What is committed stays in the log for a minute at most. Where it does not have all that came behind `since`, or the world was replaced, the answer is 410: load the state, and go on from its `seq`.',
    query: {
      since: since('Changes behind this seq, oldest first; none where it is not given, only `head`.'),
      limit: {
        schema: pageLimitSchema,
        description: 'Entries at most, of up to 1 MiB together; 100 where it is not given.',
        example: 50,
      },
      expand,
    },
    answers: { 200: answer('What has changed.', 'Changes', CHANGES) },
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
    summary: 'What changes, live',
    description: `Server-sent events. \`change\`: \`{seq, prev, actor, ops}\`, each once, in their order, with none left out (\`ops\` as \`changes\` describes them): \`prev\` is the seq of the one before. \`reset\`: \`{seq}\`: what came before cannot be told (it is no longer in the log, or the world was replaced): load the state, as it is at that seq or later. \`presence\`: who comes and goes. A comment is sent every ${LIMITS.streamHeartbeatSecondsDefault} s. One who does not read is dropped; one who comes again with \`Last-Event-ID\`, as an EventSource does, misses nothing. It ends when the credential does, or the space. At most ${LIMITS.streamsPerSpaceMax} streams of a space, ${LIMITS.streamsPerKeyMax} of a key and ${LIMITS.streamsPerSessionMax} of a session are open at once.`,
    query: {
      since: since('Begin behind this seq, where there is no `Last-Event-ID`; from now on where neither is.'),
      access_token: {
        schema: z.string(),
        description: 'The credential, on this route alone: an EventSource sets no header.',
      },
      expand,
    },
    headers: ['Last-Event-ID'],
    answers: {
      200: {
        description: 'Events, until one of both sides ends it.',
        content: { 'text/event-stream': { schema: { type: 'string' }, examples: { events: EVENTS } } },
      },
    },
    problems: ['not_found', 'no_live_log', 'too_many_streams'],
  },
];
