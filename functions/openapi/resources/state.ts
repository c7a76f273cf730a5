import * as z from 'zod';
import { STATE, WORLD_BACKUP, WORLD_INPUT } from '../examples.ts';
import { answer } from '../shorthand.ts';
import type { RouteDoc } from '../types.ts';

const PATH = '/v1/spaces/{space}/state';

export const STATE_ROUTES: readonly RouteDoc[] = [
  {
    ...{ method: 'get', path: PATH, operationId: 'getState', tag: 'State', scope: 'read' },
    summary: 'The whole world, at one moment',
    query: {
      include: {
        schema: z.string(),
        description:
          'Which of `objects`, `users`, `models`, `media`, `chat`, with commas between; all by default.',
        example: 'objects,users',
      },
    },
    headers: ['If-Match', 'If-None-Match'],
    answers: {
      200: answer('The world.', 'State', STATE, ['ETag']),
      304: { description: 'The caller has it.', headers: ['ETag'] },
    },
    problems: ['not_found', 'not_acceptable', 'state_unsettled'],
  },
  {
    ...{ method: 'put', path: PATH, operationId: 'putState', tag: 'State', scope: 'write' },
    summary: 'Save a whole world, all or nothing',
    description:
      '`replace`: the objects given are the world; if `users` is given, they are its avatars. `merge`: what is given is put, the rest is kept.',
    query: {
      mode: {
        schema: z.enum(['replace', 'merge']).default('replace'),
        description: 'What becomes of objects that are not given.',
        example: 'merge',
      },
    },
    body: {
      'application/json': {
        schema: ['WorldInput', 'WorldBackup'],
        examples: { world: WORLD_INPUT, read: STATE, backup: WORLD_BACKUP },
      },
    },
    answers: {
      200: answer('It is the world now.', 'Saved', { seq: STATE.seq, objects: 1, durability: 'committed' }),
    },
    problems: ['not_found', 'conflict', 'properties_too_large'],
  },
];
