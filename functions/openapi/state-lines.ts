import * as z from 'zod';
import { idSchema } from '../../src/world/schemas.ts';
import { LINE_SCHEMAS } from '../../src/world/state-line-input.ts';
import type { StateLine } from '../../src/world/state-lines.ts';
import {
  assetAnswer,
  avatarAnswer,
  chatMessageAnswer,
  objectAnswer,
  seqAnswer,
  spaceAnswer,
} from './answers.ts';

const count = z.int().min(0).exactOptional();

const { space, object, user, model, chat, moved, gone, end } = LINE_SCHEMAS;

/** One line of a world that is sent. */
export const worldLineInput = z.discriminatedUnion('kind', [
  space.extend({ kind: z.literal('space') }).describe('Not heeded.'),
  object.extend({ kind: z.literal('object') }),
  user.extend({ kind: z.literal('user') }),
  model.extend({ kind: z.enum(['model', 'media']) }),
  chat.extend({ kind: z.literal('chat') }),
  moved.extend({ kind: z.literal('moved') }).describe('Behind it an object replaces one before it.'),
  gone.extend({ kind: z.literal('gone') }).describe('Takes an object out that came before.'),
  end.extend({ kind: z.literal('end') }).describe('The last, without which nothing is saved.'),
]);

/** One line of a state that is answered. */
export const stateLineAnswer = z.union([
  spaceAnswer.extend({ kind: z.literal('space'), durableSeq: seqAnswer, spilled: count }),
  objectAnswer.extend({ kind: z.literal('object') }),
  avatarAnswer.extend({ kind: z.literal('user') }),
  assetAnswer.extend({ kind: z.enum(['model', 'media']) }),
  chatMessageAnswer.extend({ kind: z.literal('chat'), messageKind: z.string() }),
  z.strictObject({ kind: z.literal('moved'), seq: seqAnswer }),
  z.strictObject({ kind: z.literal('gone'), id: idSchema }),
  z
    .strictObject({
      kind: z.literal('end'),
      seq: seqAnswer,
      rev: z.int().min(0),
      counts: z.strictObject({
        object: count,
        gone: count,
        user: count,
        model: count,
        media: count,
        chat: count,
      }),
    })
    .describe('The last: without it the world is not whole.'),
  z
    .strictObject({ kind: z.literal('error'), code: z.string(), detail: z.string(), requestId: z.string() })
    .describe('The last where reading broke off, for the status had been sent.'),
]) satisfies z.ZodType<StateLine | { kind: 'error'; code: string; detail: string; requestId: string }>;
