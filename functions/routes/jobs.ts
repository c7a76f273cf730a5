import { postCleanup } from '../jobs/cleanup.ts';
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
    summary: 'Store pending entries of the logs in Postgres; called by QStash',
    description:
      'The body names one space. With `{}` or no body it drains all spaces with pending entries. It may be called at any time and any number of times: nothing is applied twice. QStash retries after 503, and not after 489.',
    body: json('DrainJob', { tenantId: 'acme', spaceId: 'plaza' }),
    answers: {
      200: answer(
        'The drain has finished, or time ran out and another call continues.',
        'DrainReport',
        REPORT,
      ),
    },
    problems: ['job_refused', 'body_too_large', 'body_timeout', 'malformed_json'],
  },
  {
    method: 'post',
    path: '/jobs/cleanup',
    operationId: 'cleanup',
    tag: 'Running',
    access: 'signed',
    handler: postCleanup,
    summary: 'Delete what nothing uses any more from the bucket; called by QStash',
    description:
      'It deletes files of uploads that broke off a day ago, and files that nothing references any more.',
    answers: { 200: answer('The cleanup has finished.', 'CleanupReport', { objects: 3 }) },
    problems: ['body_too_large', 'body_timeout'],
  },
];
