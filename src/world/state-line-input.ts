import * as z from 'zod';
import { idSchema } from './schemas.ts';
import { endSchema } from './state-lines.ts';
import { assetSchema, avatarSchema, chatSchema, worldObjectSchema } from './world-input.ts';

/** What a caller may give of each kind of line but its kind. What a space or `moved` says of itself is not heeded. */
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
