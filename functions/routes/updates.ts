import { discardDeadLetter, listDeadLetters, replayDeadLetter } from '../api/dead-letters.ts';
import { postUpdates } from '../api/updates.ts';
import { COMMITTED, DEAD_LETTER, QUEUED, UPDATES } from '../openapi/examples.ts';
import type { AnswerDoc, Route } from '../openapi/types.ts';
import { answer, GONE, json, PAGE_QUERY } from './shorthand.ts';

/** What a write may answer that does not wait for its commit, or waited too long. */
export const QUEUED_ANSWER: AnswerDoc = answer('It is in the log, and will be committed.', 'Queued', QUEUED, [
  'Preference-Applied',
]);

export const UPDATE_ROUTES: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/spaces/{space}/updates',
    operationId: 'postUpdates',
    tag: 'Updates',
    access: ['write', 'editor', 'space'],
    handler: postUpdates,
    counted: 'append',
    summary: 'Change what is in a world: the hot path',
    description:
      'Operations get their place in the space’s order and are in its log when this answers. An operation is absolute: the last in the order counts. `ifSeq` makes one conditional on the object’s seq before this request (0: it is not there; of a list, one must be it); whether it held is known when it is committed: `Prefer: wait` tells. A `move` holds the transforms of many objects in columns, and a `user.move` those of avatars: the same as a patch of each, in order, and each element counts as an operation. Up to 1,000 operations; those of more than 256 KiB together are several entries of the log. An answer of 503 leaves it open whether they were appended: send the same again under the same `Idempotency-Key`.',
    headers: ['Prefer', 'Idempotency-Key'],
    body: json('Updates', UPDATES),
    answers: {
      200: answer('It has committed: what became of each operation.', 'Committed', COMMITTED, [
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
    summary: 'Operations that could not be kept, newest first',
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
    summary: 'Append the operation once more',
    description:
      'Under its conditions and by its author. Where it cannot be kept again, it is a dead letter again, under another id.',
    answers: {
      200: answer('It has committed: what became of it.', 'Committed', COMMITTED),
      202: answer('It is in the log, and will be committed.', 'Queued', QUEUED),
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
    summary: 'Let an operation go that could not be kept',
    answers: { 204: GONE },
    problems: ['not_found'],
  },
];
