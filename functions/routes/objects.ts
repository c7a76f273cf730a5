import { deleteObject, getObject, listObjects, patchObject, putObject } from '../api/objects.ts';
import { OBJECT, OBJECT_INPUT } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, GONE, json, PAGE_QUERY, unshown } from './shorthand.ts';
import { QUEUED_ANSWER } from './updates.ts';

const PATH = '/v1/spaces/{space}/objects/{id}';

export const OBJECT_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/spaces/{space}/objects',
    operationId: 'listObjects',
    tag: 'Objects',
    access: ['read', 'viewer', 'space'],
    handler: listObjects,
    summary: 'The objects of a space',
    description:
      'A page of large objects may be shorter than `limit`. The list ends when `nextCursor` is null.',
    query: PAGE_QUERY,
    answers: { 200: answer('A page of objects.', 'ObjectPage', { items: [OBJECT], nextCursor: null }) },
    problems: ['not_found'],
  },
  {
    method: 'get',
    path: PATH,
    operationId: 'getObject',
    tag: 'Objects',
    access: ['read', 'viewer', 'space'],
    handler: getObject,
    summary: 'One object',
    headers: ['If-Match', 'If-None-Match'],
    answers: {
      200: answer('The object.', 'Object', OBJECT, ['ETag']),
      304: { description: 'The caller already has this version.', headers: ['ETag'] },
    },
    problems: ['not_found'],
  },
  {
    method: 'put',
    path: PATH,
    operationId: 'putObject',
    tag: 'Objects',
    access: ['write', 'editor', 'space'],
    handler: putObject,
    summary: 'Create or replace an object',
    description:
      'Absent members get their defaults. Members that the server writes are ignored, so a client can send back what it read. The answer comes after the commit. After 8 s, or with `Prefer: respond-async`, it comes when the log has the write.',
    headers: ['If-Match', 'If-None-Match', 'Prefer'],
    body: json('ObjectInput', OBJECT_INPUT),
    answers: {
      200: answer(
        'The object was replaced. The body is the object as this write left it.',
        'Object',
        OBJECT,
        ['ETag'],
      ),
      201: answer('The object was created.', 'Object', OBJECT, ['ETag', 'Location']),
      202: QUEUED_ANSWER,
      204: unshown(['ETag']),
    },
    problems: ['not_found', 'conflict', 'properties_too_large', 'backlog_full'],
  },
  {
    method: 'patch',
    path: PATH,
    operationId: 'patchObject',
    tag: 'Objects',
    access: ['write', 'editor', 'space'],
    handler: patchObject,
    summary: 'Change parts of an object',
    description:
      'A merge patch (RFC 7396): given members replace, null removes. `position` and `scale` may be partial; `rotation` must be whole.',
    headers: ['If-Match', 'If-None-Match', 'Prefer'],
    body: {
      'application/merge-patch+json': {
        schema: 'ObjectPatch',
        examples: { example: { position: { x: 5 }, properties: { colour: null } } },
      },
    },
    answers: {
      200: answer('The object as this write left it.', 'Object', OBJECT, ['ETag']),
      202: QUEUED_ANSWER,
      204: unshown(['ETag']),
    },
    problems: ['not_found', 'conflict', 'properties_too_large', 'backlog_full'],
  },
  {
    method: 'delete',
    path: PATH,
    operationId: 'deleteObject',
    tag: 'Objects',
    access: ['write', 'editor', 'space'],
    handler: deleteObject,
    summary: 'Delete an object',
    headers: ['If-Match', 'If-None-Match', 'Prefer'],
    answers: { 202: QUEUED_ANSWER, 204: GONE },
    problems: ['not_found', 'conflict', 'backlog_full'],
  },
];
