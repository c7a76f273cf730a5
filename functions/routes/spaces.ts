import { deleteSpace, getSpace, getStatistics, listSpaces, putSpace } from '../api/spaces.ts';
import { SPACE, SPACE_INPUT, STATISTICS } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, GONE, json, PAGE_QUERY, unshown } from './shorthand.ts';

export const SPACE_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/spaces',
    operationId: 'listSpaces',
    tag: 'Spaces',
    access: ['read'],
    handler: listSpaces,
    summary: 'The spaces of the tenant',
    query: PAGE_QUERY,
    answers: { 200: answer('A page of spaces.', 'SpacePage', { items: [SPACE], nextCursor: null }) },
  },
  {
    method: 'get',
    path: '/v1/spaces/{space}',
    operationId: 'getSpace',
    tag: 'Spaces',
    access: ['read', 'viewer', 'space'],
    handler: getSpace,
    summary: 'One space',
    answers: { 200: answer('The space.', 'Space', SPACE) },
    problems: ['not_found'],
  },
  {
    method: 'put',
    path: '/v1/spaces/{space}',
    operationId: 'putSpace',
    tag: 'Spaces',
    // A session gives its space what is new, and makes none.
    access: ['write', 'owner', 'space'],
    handler: putSpace,
    summary: 'Create or update a space',
    description: 'Absent members are reset. Members that the server writes are ignored.',
    body: json('SpaceInput', SPACE_INPUT),
    answers: {
      200: answer('The space was updated.', 'Space', SPACE),
      201: answer('The space was created.', 'Space', SPACE, ['Location']),
      204: unshown(),
    },
    problems: ['not_found', 'properties_too_large'],
  },
  {
    method: 'delete',
    path: '/v1/spaces/{space}',
    operationId: 'deleteSpace',
    tag: 'Spaces',
    access: ['write'],
    handler: deleteSpace,
    summary: 'Delete a space and everything in it',
    answers: { 204: GONE },
    problems: ['not_found'],
  },
  {
    method: 'get',
    path: '/v1/spaces/{space}/statistics',
    operationId: 'getStatistics',
    tag: 'Spaces',
    access: ['read', 'viewer', 'space'],
    handler: getStatistics,
    summary: 'Counts of a space',
    answers: { 200: answer('The counts.', 'Statistics', STATISTICS) },
    problems: ['not_found'],
  },
];
