import { postCleanup } from '../jobs/cleanup.ts';
import { countRuns } from '../jobs/count-runs.ts';
import { postDrain } from '../jobs/drain.ts';
import { postRefreshViews } from '../jobs/refresh-views.ts';
import { postSealAudit } from '../jobs/seal-audit.ts';
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
    handler: countRuns('drain', postDrain),
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
    handler: countRuns('cleanup', postCleanup),
    summary: 'Remove what is over its time; called by QStash',
    description:
      'It removes old events, deleted messages and spaces, sessions that are over, and files that nothing references. It works in short batches. If time runs out, `left` names the steps that the next call continues. QStash retries after 503.',
    answers: {
      200: answer('The cleanup has finished, or time ran out.', 'CleanupReport', {
        counts: { eventDaysDropped: 1, messages: 1_200 },
        left: [],
      }),
    },
    problems: ['body_too_large', 'body_timeout'],
  },
  {
    method: 'post',
    path: '/jobs/refresh-views',
    operationId: 'refreshViews',
    tag: 'Running',
    access: 'signed',
    handler: countRuns('refresh-views', postRefreshViews),
    summary: 'Count the figures of analytics again; called by QStash',
    description:
      'Each view is refreshed in a transaction of its own, and readers do not wait. The answer has the milliseconds of each view. A view that another call refreshes now is absent.',
    answers: {
      200: answer('The refresh has finished.', 'RefreshReport', {
        views: {
          daily_activity: 41,
          peak_presence: 310,
          retention: 87,
          space_statistics: 22,
          popular_models: 19,
        },
      }),
    },
    problems: ['body_too_large', 'body_timeout'],
  },
  {
    method: 'post',
    path: '/jobs/seal-audit',
    operationId: 'sealAudit',
    tag: 'Running',
    access: 'signed',
    handler: countRuns('seal-audit', postSealAudit),
    summary: 'Seal new rows of the audit; called by QStash',
    description:
      'Each step seals up to 10,000 rows of finished transactions. If time runs out, `status` is `continues`, and the next call goes on. It is `busy` if another call seals now. `waitingSeconds` is the age of the oldest row that waits for an older transaction to end.',
    answers: {
      200: answer('The rows are sealed, or another call seals them.', 'SealReport', {
        status: 'done',
        rows: 1_200,
        seals: 3,
        waitingSeconds: null,
      }),
    },
    problems: ['body_too_large', 'body_timeout'],
  },
];
