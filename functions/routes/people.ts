import { listPresence } from '../api/presence.ts';
import { deleteSession, postHeartbeat, postSession } from '../api/sessions.ts';
import { deleteUser, getUser, putUser } from '../api/users.ts';
import { ISSUED_SESSION, PRESENT_PERSON, SESSION_INPUT, USER, USER_INPUT } from '../openapi/examples.ts';
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
    summary: 'Who is in a space',
    description:
      'By their ids. A session is present from its minting on, kept so by its heartbeats, until it ends or has been silent for 60 s.',
    query: PAGE_QUERY,
    answers: {
      200: answer('A page of people.', 'PresentPage', { items: [PRESENT_PERSON], nextCursor: null }),
    },
    problems: ['not_found', 'no_presence'],
  },
  {
    method: 'put',
    path: USER_PATH,
    operationId: 'putUser',
    tag: 'People',
    // A session gives its person what is new, and makes none.
    access: ['write', 'viewer', 'user'],
    handler: putUser,
    summary: 'Make a person known, or give them what is new',
    description: 'What is absent is reset. A session may do it for its own person, who must be known.',
    body: json('UserInput', USER_INPUT),
    answers: {
      200: answer('They were known.', 'User', USER),
      201: answer('They are known from now on.', 'User', USER, ['Location']),
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
    summary: 'Erase a person',
    description:
      'Their row, memberships, avatars and sessions go, their messages stay without an author, and what they made is signed with a pseudonym that nothing leads back from. Erasing once more finds what a session elsewhere wrote in the seconds until it was refused.',
    answers: { 204: { description: 'They are erased.' } },
    problems: ['not_found'],
  },
  {
    method: 'post',
    path: '/v1/sessions',
    operationId: 'postSession',
    tag: 'People',
    access: ['write'],
    handler: postSession,
    summary: 'Let a person into a space',
    description:
      'The person becomes a member of the space. A role that is given is from now on theirs; where none is, the session has the role they have, and a new member is a viewer.',
    body: json('SessionInput', SESSION_INPUT),
    answers: { 201: answer('The session, and its token this once.', 'IssuedSession', ISSUED_SESSION) },
    problems: ['not_found', 'no_signing_key'],
  },
  {
    method: 'post',
    path: `${SESSION_PATH}/heartbeat`,
    operationId: 'postHeartbeat',
    tag: 'People',
    access: ['write', 'viewer', 'session'],
    handler: postHeartbeat,
    summary: 'Say that the person is still there',
    description:
      'A session that is silent for 60 s is no longer present, and is again with its next heartbeat.',
    answers: { 204: { description: 'It is noted.' } },
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
    answers: { 204: { description: 'It has ended; ending twice is the same as once.' } },
    problems: ['not_found'],
  },
];
