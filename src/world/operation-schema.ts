import * as z from 'zod';
import { LIMITS } from './limits.ts';
import { COLUMNS } from './move.ts';
import type { SentOperation } from './operation.ts';
import { keepRotation } from './quaternion.ts';
import {
  idSchema,
  messageSchema,
  nameSchema,
  propertiesSchema,
  rotationSchema,
  vectorSchema,
} from './schemas.ts';

const seq = z
  .int('must be a whole number')
  .min(0, 'must be 0 or more')
  // −0 is 0.
  .transform((value) => value + 0);
const SEQS = `must contain 1 to ${LIMITS.conditionSeqsMax} seqs`;

/** One seq, or several: the object must have one of them. */
const ifSeq = z
  .union([seq, z.array(seq).min(1, SEQS).max(LIMITS.conditionSeqsMax, SEQS)], {
    error: 'must be a whole number, 0 or more, or a list of such numbers',
  })
  .optional();

const objectFields = {
  id: idSchema,
  rotation: rotationSchema.optional(),
  name: nameSchema.nullable().optional(),
  modelId: idSchema.nullable().optional(),
  parentId: idSchema.nullable().optional(),
  properties: propertiesSchema.optional(),
  ifSeq,
};

/** A column of a move: a flat list with the same count of numbers for each id. */
const column = z
  .array(z.number('must be a number'), 'must be a list of numbers')
  .transform((numbers) => numbers.map((number) => number + 0));
const NO_COLUMN = 'must have a position, a rotation or a scale';
const NO_AVATAR_COLUMN = 'must have a position or a rotation';

const moveFields = {
  ids: z.array(idSchema).min(1, 'must contain at least one id'),
  position: column.optional(),
  rotation: column.optional(),
};

/** Checks the lengths of the columns, and applies `keepRotation`. */
function checkColumns<
  Columns extends {
    ids: string[];
    position?: number[] | undefined;
    rotation?: number[] | undefined;
    scale?: number[] | undefined;
  },
>(move: Columns, context: z.RefinementCtx, noColumn: string): Columns {
  const names = (['position', 'rotation', 'scale'] as const).filter((name) => move[name] !== undefined);
  if (names.length === 0) context.addIssue({ code: 'custom', message: noColumn });
  for (const name of names) {
    const length = move.ids.length * COLUMNS[name];
    const given = move[name]?.length ?? 0;
    if (given !== length)
      context.addIssue({
        code: 'custom',
        path: [name],
        message: `must contain ${COLUMNS[name]} numbers for each id: ${length} in total, not ${given}`,
      });
  }
  const rotation = move.rotation?.slice();
  for (let i = 0; rotation !== undefined && i + 4 <= rotation.length; i += 4) {
    const [x, y, z, w] = rotation.slice(i, i + 4) as [number, number, number, number];
    const kept = keepRotation({ x, y, z, w });
    if (kept !== null) rotation.splice(i, 4, kept.x, kept.y, kept.z, kept.w);
    else
      context.addIssue({
        code: 'custom',
        path: ['rotation', i],
        message: 'must not begin a rotation of only zeros (0, 0, 0, 0)',
      });
  }
  return rotation === undefined ? move : { ...move, rotation };
}

const operationSchema = z.discriminatedUnion(
  'op',
  [
    z.strictObject({
      op: z.literal('put'),
      ...objectFields,
      position: vectorSchema.optional(),
      scale: vectorSchema.optional(),
    }),
    z.strictObject({
      op: z.literal('patch'),
      ...objectFields,
      position: vectorSchema.partial().optional(),
      scale: vectorSchema.partial().optional(),
    }),
    z.strictObject({ op: z.literal('delete'), id: idSchema, ifSeq }),
    z.strictObject({
      op: z.literal('user.patch'),
      id: idSchema,
      position: vectorSchema.optional(),
      rotation: rotationSchema.optional(),
      properties: propertiesSchema.optional(),
    }),
    z
      .strictObject({ op: z.literal('move'), ...moveFields, scale: column.optional() })
      .transform((move, context) => checkColumns(move, context, NO_COLUMN)),
    z
      .strictObject({ op: z.literal('user.move'), ...moveFields })
      .transform((move, context) => checkColumns(move, context, NO_AVATAR_COLUMN)),
    messageSchema.extend({ op: z.literal('chat.post') }),
    z.strictObject({ op: z.literal('chat.delete'), id: idSchema }),
  ],
  {
    error: ({ code }) =>
      code === 'invalid_union'
        ? 'must be "put", "patch", "delete", "move", "user.patch", "user.move", "chat.post" or "chat.delete"'
        : undefined,
  },
);

function listOf<T extends z.ZodType>(item: T) {
  return z.array(item).superRefine((list, context) => {
    const count = list.reduce<number>((sum, each) => sum + countElements(each), 0);
    if (count === 0 || count > LIMITS.opsPerRequestMax)
      context.addIssue({
        code: 'custom',
        message: `must contain 1 to ${LIMITS.opsPerRequestMax} operations, not ${count}`,
      });
  });
}

/** Counts each element of a move as one. Accepts any value that a caller may send. */
function countElements(item: unknown): number {
  const ids = typeof item === 'object' && item !== null && 'ids' in item ? item.ids : null;
  return Array.isArray(ids) ? Math.max(1, ids.length) : 1;
}

/** The body of a request that changes a world. */
export const operationsSchema = z.strictObject({
  ops: listOf(operationSchema),
}) as z.ZodType<{ ops: SentOperation[] }>;

/** Counts before any check of an operation: half a million wrong operations fit in a body. */
export const operationCountSchema = z.looseObject({ ops: listOf(z.unknown()) });
