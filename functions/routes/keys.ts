import { deleteKey, listKeys, postKey } from '../api/keys.ts';
import { ISSUED_KEY, KEY, KEY_INPUT } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, json, PAGE_QUERY } from './shorthand.ts';

export const KEY_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/keys',
    operationId: 'listKeys',
    tag: 'Keys',
    access: ['admin'],
    handler: listKeys,
    summary: 'The keys of the tenant, without their secrets',
    query: PAGE_QUERY,
    answers: { 200: answer('A page of keys.', 'KeyPage', { items: [KEY], nextCursor: null }) },
  },
  {
    method: 'post',
    path: '/v1/keys',
    operationId: 'postKey',
    tag: 'Keys',
    access: ['admin'],
    handler: postKey,
    summary: 'Create a key',
    body: json('KeyInput', KEY_INPUT),
    answers: { 201: answer('The key. Only this answer has its secret.', 'IssuedKey', ISSUED_KEY) },
    problems: ['not_found'],
  },
  {
    method: 'delete',
    path: '/v1/keys/{id}',
    operationId: 'deleteKey',
    tag: 'Keys',
    access: ['admin'],
    handler: deleteKey,
    summary: 'Revoke a key',
    answers: { 204: { description: 'The key is revoked. Revoking it again is harmless.' } },
    problems: ['not_found'],
  },
];
