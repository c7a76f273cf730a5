import { discardDeadLetter, listDeadLetters, replayDeadLetter } from '../api/dead-letters.ts';
import { postUpdates } from '../api/updates.ts';
import { COMMITTED, DEAD_LETTER, QUEUED, UPDATES } from '../openapi/examples.ts';
import type { AnswerDoc, Route } from '../openapi/types.ts';
import { answer, GONE, json, PAGE_QUERY } from './shorthand.ts';

/** The answer to a write that does not wait for its commit, or waited too long. */
export const QUEUED_ANSWER: AnswerDoc = answer(
  'The log has the write, and it will be committed. `spilled` and `memory`: Redis is away, and the write gets its place in the order later.',
  'Queued',
  QUEUED,
  ['Preference-Applied'],
);

export const UPDATE_ROUTES: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/spaces/{space}/updates',
    operationId: 'postUpdates',
    tag: 'Updates',
    access: ['write', 'viewer', 'space'],
    handler: postUpdates,
    counted: 'append',
    summary: 'Change a world: many operations in one request',
    description:
      'When this answers, the log has the operations in their place in the order. Operations are absolute: the last one wins. `ifSeq` is a condition on the object’s seq before this request. 0 means that it does not exist, and one seq of a list must match. `Prefer: wait` tells whether the condition was met. A `move` holds the transforms of many objects in columns; `user.move` holds the transforms of avatars. Each element counts as an operation. `chat.post` posts a message and `chat.delete` deletes one. A viewer may send only `chat.post`, and `user.patch` and `user.move` for itself. A request has up to 1,000 operations. More than 256 KiB become several entries of the log. After a 503, retry with the same `Idempotency-Key`.',
    headers: ['Prefer', 'Idempotency-Key'],
    body: json('Updates', UPDATES),
    answers: {
      200: answer('Committed, with the result of each operation.', 'Committed', COMMITTED, [
        'Preference-Applied',
      ]),
      202: QUEUED_ANSWER,
    },
    problems: [
      ...(['not_found', 'conflict', 'key_expired', 'idempotency_key_reused'] as const),
      ...(['properties_too_large', 'backlog_full'] as const),
    ],
  },
];

export const DEAD_LETTER_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/dead-letters',
    operationId: 'listDeadLetters',
    tag: 'Updates',
    access: ['admin'],
    handler: listDeadLetters,
    summary: 'Operations that Postgres could not store, newest first',
    query: PAGE_QUERY,
    answers: {
      200: answer('A page of dead letters.', 'DeadLetterPage', { items: [DEAD_LETTER], nextCursor: null }),
    },
  },
  {
    method: 'post',
    path: '/v1/dead-letters/{id}/replay',
    operationId: 'replayDeadLetter',
    tag: 'Updates',
    access: ['admin'],
    handler: replayDeadLetter,
    summary: 'Replay a dead letter',
    description:
      'The operation is appended again, with its author and condition. If it is rejected again, that is a new dead letter.',
    answers: {
      200: answer('Committed, with the result.', 'Committed', COMMITTED),
      202: answer('The log has the write, and it will be committed.', 'Queued', QUEUED),
    },
    problems: ['not_found', 'conflict', 'backlog_full'],
  },
  {
    method: 'delete',
    path: '/v1/dead-letters/{id}',
    operationId: 'discardDeadLetter',
    tag: 'Updates',
    access: ['admin'],
    handler: discardDeadLetter,
    summary: 'Delete a dead letter',
    answers: { 204: GONE },
    problems: ['not_found'],
  },
];
