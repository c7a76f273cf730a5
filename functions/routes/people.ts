import { LIMITS } from '../../src/world/limits.ts';
import { userSearchSchema } from '../../src/world/schemas.ts';
import { listPresence } from '../api/presence.ts';
import { deleteSession, postHeartbeat, postSession } from '../api/sessions.ts';
import { deleteUser, exportUser, getUser, listUsers, putUser } from '../api/users.ts';
import {
  ERASED_PERSON,
  ISSUED_SESSION,
  PERSON_EXPORT,
  PRESENT_PERSON,
  SESSION_INPUT,
  USER,
  USER_INPUT,
} from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, json, PAGE_QUERY, unshown } from './shorthand.ts';

const USER_PATH = '/v1/users/{id}';
const SESSION_PATH = '/v1/sessions/{id}';

export const PEOPLE_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/spaces/{space}/presence',
    operationId: 'listPresence',
    tag: 'People',
    access: ['read', 'viewer', 'space'],
    handler: listPresence,
    summary: 'The people in a space',
    description:
      'Sorted by id. A session is present after its creation and after each heartbeat. It leaves when it ends, or after 60 s of silence.',
    query: PAGE_QUERY,
    answers: {
      200: answer('A page of people.', 'PresentPage', { items: [PRESENT_PERSON], nextCursor: null }),
    },
    problems: ['not_found', 'no_presence'],
  },
  {
    method: 'get',
    path: '/v1/users',
    operationId: 'listUsers',
    tag: 'People',
    access: ['admin'],
    handler: listUsers,
    summary: 'The people of the tenant',
    description: `Sorted by id. One page of a search looks at ${LIMITS.searchedPeopleMax.toLocaleString('en')} people, so it may have fewer items than \`limit\`, or none. The list ends when \`nextCursor\` is null.`,
    query: {
      search: {
        schema: userSearchSchema,
        description: 'The beginning of the id, or a part of the display name in any case.',
        example: 'ann',
      },
      ...PAGE_QUERY,
    },
    answers: { 200: answer('A page of people.', 'UserPage', { items: [USER], nextCursor: null }) },
  },
  {
    method: 'put',
    path: USER_PATH,
    operationId: 'putUser',
    tag: 'People',
    // A session gives its person what is new, and makes none.
    access: ['write', 'viewer', 'user'],
    handler: putUser,
    summary: 'Create or update a person',
    description: 'Absent members are reset. A session may update its own person, and creates none.',
    body: json('UserInput', USER_INPUT),
    answers: {
      200: answer('The person was updated.', 'User', USER),
      201: answer('The person was created.', 'User', USER, ['Location']),
      204: unshown(),
    },
    problems: ['not_found', 'properties_too_large'],
  },
  {
    method: 'get',
    path: USER_PATH,
    operationId: 'getUser',
    tag: 'People',
    access: ['read', 'viewer', 'user'],
    handler: getUser,
    summary: 'One person',
    answers: { 200: answer('The person.', 'User', USER) },
    problems: ['not_found'],
  },
  {
    method: 'delete',
    path: USER_PATH,
    operationId: 'deleteUser',
    tag: 'People',
    // Erases in all spaces of the tenant: more than a session, which has one, may do.
    access: ['write'],
    handler: deleteUser,
    takesLong: true,
    summary: 'Erase a person',
    description:
      'Deletes their profile, memberships, avatars, sessions, messages, events and keys in Redis, and the file that only their `avatarUrl` names. Their objects get a pseudonym that leads back to nobody. The audit keeps that something happened, and loses who and what. A session in another process may still write for some seconds: erase again to remove that too. `Prefer: return=representation` asks for the counts.',
    answers: {
      200: answer('The person is erased.', 'ErasedPerson', ERASED_PERSON, ['Preference-Applied']),
      204: { description: 'The person is erased.' },
    },
    problems: ['not_found'],
  },
  {
    method: 'get',
    path: `${USER_PATH}/export`,
    operationId: 'exportUser',
    tag: 'People',
    access: ['admin'],
    handler: exportUser,
    takesLong: true,
    summary: 'Everything that is stored of a person',
    description:
      'One JSON document. Queued writes are committed first. It is streamed: a document that broke off has no `"complete": true` at its end.',
    answers: { 200: answer('The document.', 'PersonExport', PERSON_EXPORT) },
    problems: ['not_found'],
  },
  {
    method: 'post',
    path: '/v1/sessions',
    operationId: 'postSession',
    tag: 'People',
    access: ['write'],
    handler: postSession,
    summary: 'Create a session of a person in a space',
    description:
      'The person becomes a member of the space. A given role becomes their role there. Without it the session has their current role, and a new member is a viewer.',
    body: json('SessionInput', SESSION_INPUT),
    answers: { 201: answer('The session. Only this answer has its token.', 'IssuedSession', ISSUED_SESSION) },
    problems: ['not_found', 'no_signing_key'],
  },
  {
    method: 'post',
    path: `${SESSION_PATH}/heartbeat`,
    operationId: 'postHeartbeat',
    tag: 'People',
    access: ['write', 'viewer', 'session'],
    handler: postHeartbeat,
    summary: 'Report that the person is still there',
    description: 'A session leaves presence after 60 s of silence, and returns with its next heartbeat.',
    answers: { 204: { description: 'The session is present.' } },
    problems: ['not_found'],
  },
  {
    method: 'delete',
    path: SESSION_PATH,
    operationId: 'deleteSession',
    tag: 'People',
    access: ['write', 'viewer', 'session'],
    handler: deleteSession,
    summary: 'End a session',
    answers: { 204: { description: 'The session has ended. Ending it again is harmless.' } },
    problems: ['not_found'],
  },
];
