import * as z from 'zod';
import { deleteChat, listChat, postChat } from '../api/chat.ts';
import { MESSAGE, POSTED_MESSAGE } from '../openapi/examples.ts';
import type { Route } from '../openapi/types.ts';
import { answer, GONE, json, PAGE_QUERY } from './shorthand.ts';
import { QUEUED_ANSWER } from './updates.ts';

const PATH = '/v1/spaces/{space}/chat';

export const CHAT_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: PATH,
    operationId: 'listChat',
    tag: 'Chat',
    access: ['read', 'viewer', 'space'],
    handler: listChat,
    summary: 'The messages of a space, newest first',
    description:
      'It shows every acknowledged message. A page has at most 200. With `after` alone, a page has the oldest messages after it, and `cursor` continues towards newer ones.',
    query: {
      ...PAGE_QUERY,
      before: {
        schema: z.string(),
        description: 'The id of a message, or a seq: only messages before it.',
      },
      after: {
        schema: z.string(),
        description: 'The id of a message, or a seq: only messages after it.',
      },
    },
    answers: { 200: answer('A page of messages.', 'ChatPage', { items: [MESSAGE], nextCursor: null }) },
    problems: ['not_found', 'state_unsettled'],
  },
  {
    method: 'post',
    path: PATH,
    operationId: 'postChat',
    tag: 'Chat',
    access: ['write', 'viewer', 'space'],
    handler: postChat,
    counted: 'append',
    summary: 'Post a message',
    description:
      'The server creates the id of the message. A caller’s `id` is an idempotency key: a retry with the same `id` returns the first message. An API key may name the author in `userId`. A person may post 30 messages a minute. `settings.chat` of the space is the lowest role that may post (`viewer` by default), or `off`.',
    headers: ['Prefer', 'Idempotency-Key'],
    body: json('MessageInput', { text: 'hello' }),
    answers: {
      201: answer('The message is committed.', 'PostedMessage', POSTED_MESSAGE, ['Preference-Applied']),
      202: answer(
        'The log has the message, and it will be committed.',
        'PostedMessage',
        { ...POSTED_MESSAGE, durability: 'queued' },
        ['Preference-Applied'],
      ),
    },
    problems: ['not_found', 'conflict', 'key_expired', 'idempotency_key_reused', 'backlog_full'],
  },
  {
    method: 'delete',
    path: `${PATH}/{id}`,
    operationId: 'deleteChat',
    tag: 'Chat',
    access: ['write', 'viewer', 'space'],
    handler: deleteChat,
    summary: 'Delete a message',
    description:
      'Its author, an owner of the space and an API key may delete it. States and lists hide it immediately. Its row is deleted after 7 days.',
    headers: ['Prefer'],
    answers: { 202: QUEUED_ANSWER, 204: GONE },
    problems: ['not_found', 'backlog_full'],
  },
];
