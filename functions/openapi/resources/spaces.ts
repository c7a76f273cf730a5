import { SPACE, SPACE_INPUT, STATISTICS } from '../examples.ts';
import { answer, GONE, json, PAGE_QUERY, unshown } from '../shorthand.ts';
import type { RouteDoc } from '../types.ts';

export const SPACE_ROUTES: readonly RouteDoc[] = [
  {
    method: 'get',
    path: '/v1/spaces',
    operationId: 'listSpaces',
    tag: 'Spaces',
    scope: 'read',
    summary: 'The spaces of the tenant',
    query: PAGE_QUERY,
    answers: { 200: answer('A page of spaces.', 'SpacePage', { items: [SPACE], nextCursor: null }) },
  },
  {
    method: 'get',
    path: '/v1/spaces/{space}',
    operationId: 'getSpace',
    tag: 'Spaces',
    scope: 'read',
    summary: 'One space',
    answers: { 200: answer('The space.', 'Space', SPACE) },
    problems: ['not_found'],
  },
  {
    method: 'put',
    path: '/v1/spaces/{space}',
    operationId: 'putSpace',
    tag: 'Spaces',
    scope: 'write',
    summary: 'Make a space, or give it what is new',
    description:
      'What is absent is reset. What the server writes itself may stand in the body and is not heeded.',
    body: json('SpaceInput', SPACE_INPUT),
    answers: {
      200: answer('It was there.', 'Space', SPACE),
      201: answer('It is made.', 'Space', SPACE, ['Location']),
      204: unshown(),
    },
    problems: ['not_found', 'properties_too_large'],
  },
  {
    method: 'delete',
    path: '/v1/spaces/{space}',
    operationId: 'deleteSpace',
    tag: 'Spaces',
    scope: 'write',
    summary: 'Delete a space, and all in it',
    answers: { 204: GONE },
    problems: ['not_found'],
  },
  {
    method: 'get',
    path: '/v1/spaces/{space}/statistics',
    operationId: 'getStatistics',
    tag: 'Spaces',
    scope: 'read',
    summary: 'What a space holds, counted',
    answers: { 200: answer('The counts.', 'Statistics', STATISTICS) },
    problems: ['not_found'],
  },
];
