import { postDrain } from '../jobs/drain.ts';
import type { Route } from '../openapi/types.ts';
import { answer, json } from './shorthand.ts';

const REPORT = { status: 'drained', operations: 1_200, entries: 12, batches: 1, seq: 1_795_342_742_930_000 };

export const JOB_ROUTES: readonly Route[] = [
  {
    method: 'post',
    path: '/jobs/drain',
    operationId: 'drain',
    tag: 'Running',
    // Its signature is the credential.
    access: 'signed',
    handler: postDrain,
    summary: 'Commit what waits in the logs; called by QStash',
    description:
      'Of one space, or with `{}` or no body of all that have something left. May be called at any time, twice, and at once: nothing is applied twice. 503 is tried again by QStash, 489 is not.',
    body: json('DrainJob', { tenantId: 'acme', spaceId: 'plaza' }),
    answers: {
      200: answer('It has drained, or time ran out and another call goes on.', 'DrainReport', REPORT),
    },
    problems: ['job_refused', 'body_too_large', 'body_timeout', 'malformed_json'],
  },
];
