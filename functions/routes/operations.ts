import { LIMITS } from '../../src/world/limits.ts';
import { idSchema } from '../../src/world/schemas.ts';
import { getOperations, listIncidents, listJobRuns } from '../api/operations.ts';
import { INCIDENT, JOB_RUNS, OPERATIONS } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, PAGE_QUERY } from './shorthand.ts';

export const OPERATIONS_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/operations',
    operationId: 'getOperations',
    tag: 'Operations',
    access: ['admin'],
    handler: getOperations,
    summary: 'The figures of the operations page, now',
    description: `The backlog, the streams and the busiest spaces of the tenant. \`appended\` and \`drained\` only rise, so two answers make a rate. Only keys of the operator's tenant (DEFAULT_TENANT_ID) get \`deployment\`. An answer is repeated for ${LIMITS.figuresCacheMs / 1_000} s. A store that is away leaves its figures null.`,
    answers: { 200: answer('The figures.', 'Operations', OPERATIONS) },
  },
  {
    method: 'get',
    path: '/v1/incidents',
    operationId: 'listIncidents',
    tag: 'Operations',
    access: ['admin'],
    handler: listIncidents,
    summary: 'Problems that were found in the logs of spaces, newest first',
    query: {
      space: { schema: idSchema, description: 'Only the incidents of this space.', example: 'plaza' },
      ...PAGE_QUERY,
    },
    answers: {
      200: answer('A page of incidents.', 'IncidentPage', { items: [INCIDENT], nextCursor: null }),
    },
  },
  {
    method: 'get',
    path: '/v1/job-runs',
    operationId: 'listJobRuns',
    tag: 'Operations',
    access: ['admin'],
    handler: listJobRuns,
    summary: 'The jobs of the deployment, with their newest runs',
    description: `Jobs work for all tenants. Only keys of the operator's tenant (DEFAULT_TENANT_ID) get \`counts\`, \`failure\`, and the runs of \`drain\` and \`seal-audit\`. Each job has its newest ${LIMITS.jobRunsShownMax} runs. These two leave none if they found nothing to do. \`schedule\` is null without a QStash.`,
    answers: { 200: answer('The jobs.', 'JobRuns', JOB_RUNS) },
  },
];
