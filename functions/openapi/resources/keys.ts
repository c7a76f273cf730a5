import { ISSUED_KEY, KEY, KEY_INPUT } from '../examples.ts';
import { answer, json, PAGE_QUERY } from '../shorthand.ts';
import type { RouteDoc } from '../types.ts';

export const KEY_ROUTES: readonly RouteDoc[] = [
  {
    method: 'get',
    path: '/v1/keys',
    operationId: 'listKeys',
    tag: 'Keys',
    scope: 'admin',
    summary: 'The keys of the tenant, without their secrets',
    query: PAGE_QUERY,
    answers: { 200: answer('A page of keys.', 'KeyPage', { items: [KEY], nextCursor: null }) },
  },
  {
    method: 'post',
    path: '/v1/keys',
    operationId: 'postKey',
    tag: 'Keys',
    scope: 'admin',
    summary: 'Give out a key',
    body: json('KeyInput', KEY_INPUT),
    answers: { 201: answer('The key, and its secret this once.', 'IssuedKey', ISSUED_KEY) },
    problems: ['not_found'],
  },
  {
    method: 'delete',
    path: '/v1/keys/{id}',
    operationId: 'deleteKey',
    tag: 'Keys',
    scope: 'admin',
    summary: 'Revoke a key',
    answers: { 204: { description: 'It is revoked; revoking twice is the same as once.' } },
    problems: ['not_found'],
  },
];
