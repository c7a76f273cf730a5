import * as z from 'zod';
import { idSchema } from './schemas.ts';
import { assetSchema, avatarSchema, chatSchema, worldObjectSchema } from './world-input.ts';

const count = z.int().min(0).optional();

/** The last line, as a caller sends it. */
const endSchema = z.strictObject({
  seq: z.unknown().optional(),
  rev: z.unknown().optional(),
  counts: z
    .strictObject({ object: count, gone: count, user: count, model: count, media: count, chat: count })
    .optional()
    .describe('The number of lines of each kind before this one. If given, it must be correct.'),
});

/** The members of each kind of line, without `kind`. Members that describe the space or `moved` are ignored. */
export const LINE_SCHEMAS = {
  space: z.looseObject({}),
  object: worldObjectSchema,
  user: avatarSchema,
  model: assetSchema,
  media: assetSchema,
  chat: chatSchema.omit({ kind: true }).extend({ messageKind: chatSchema.shape.kind }),
  moved: z.looseObject({}),
  gone: z.strictObject({ id: idSchema }),
  end: endSchema,
} as const;
