import * as z from 'zod';
import { getState, putState } from '../api/state.ts';
import { STATE, STATE_LINES, WORLD_BACKUP, WORLD_INPUT } from '../openapi/examples.ts';
import type { QueryDoc, Route } from '../openapi/types.ts';
import { json } from './shorthand.ts';
import { QUEUED_ANSWER } from './updates.ts';

const PATH = '/v1/spaces/{space}/state';

const corner = (description: string): QueryDoc => ({
  schema: z.string(),
  description: `${description}, as \`x,y,z\` in metres.`,
  example: '0,1.6,-4',
});

export const STATE_ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: PATH,
    operationId: 'getState',
    tag: 'State',
    access: ['read', 'viewer', 'space'],
    handler: getState,
    counted: 'beside',
    summary: 'The whole world, at one moment',
    query: {
      include: {
        schema: z.string(),
        description:
          'Parts of the state, separated by commas: `objects`, `users`, `models`, `media`, `chat`. Default all.',
        example: 'objects,users',
      },
      near: corner('With `radius`: only objects around this point'),
      radius: { schema: z.string(), description: 'Metres from `near`.', example: '50' },
      min: corner('With `max`: only objects in this box, by its least corner'),
      max: corner('The greatest corner of the box'),
    },
    headers: ['If-Match', 'If-None-Match', 'Cache-Control'],
    answers: {
      200: {
        description:
          'The world. With `Accept: application/x-ndjson` each line is a StateLine. NDJSON has every message, JSON the last 50.',
        headers: ['ETag', 'Age'],
        content: {
          ...json('State', STATE),
          'application/x-ndjson': { schema: 'StateLine', examples: STATE_LINES },
        },
      },
      304: { description: 'The caller already has this version.', headers: ['ETag', 'Age'] },
    },
    problems: ['not_found', 'state_unsettled'],
  },
  {
    method: 'put',
    path: PATH,
    operationId: 'putState',
    tag: 'State',
    // A session saves no people, models or media: those are the tenant's.
    access: ['write', 'owner', 'space'],
    handler: putState,
    takesLong: true,
    summary: 'Save a whole world, all or nothing',
    description:
      '`replace`: the objects given are the world; if `users` is given, they are its avatars. `merge`: what is given is put, the rest is kept. As NDJSON, a WorldLineInput a line, with `end` as the last: a world of any size, streamed.',
    query: {
      mode: {
        schema: z.enum(['replace', 'merge']).default('replace'),
        description: 'Whether objects that are not given are deleted (`replace`) or stay (`merge`).',
        example: 'merge',
      },
    },
    body: {
      'application/json': {
        schema: ['WorldInput', 'WorldBackup'],
        examples: { world: WORLD_INPUT, read: STATE, backup: WORLD_BACKUP },
      },
      'application/x-ndjson': { schema: 'WorldLineInput', examples: STATE_LINES },
    },
    answers: {
      200: {
        description: 'The world is saved.',
        content: json('Saved', { seq: STATE.seq, objects: 1, durability: 'committed' }),
      },
      202: QUEUED_ANSWER,
    },
    problems: ['not_found', 'conflict', 'properties_too_large', 'backlog_full'],
  },
];
