import * as z from 'zod';
import { LIMITS } from './limits.ts';
import type { Operation } from './operation.ts';
import { idSchema, nameSchema, propertiesSchema, rotationSchema, vectorSchema } from './schemas.ts';

const seq = z
  .int('must be a whole number')
  .min(0, 'must not be below 0')
  // −0 is 0.
  .transform((value) => value + 0);
const SEQS = `must hold 1 to ${LIMITS.conditionSeqsMax} seqs`;

/** One seq, or several of which one must be the object's. */
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
  ],
  {
    error: ({ code }) =>
      code === 'invalid_union' ? 'must be "put", "patch", "delete" or "user.patch"' : undefined,
  },
);

function listOf<T extends z.ZodType>(item: T) {
  const error = ({ input }: { input?: unknown }) =>
    `must hold 1 to ${LIMITS.opsPerRequestMax} operations; it holds ${Array.isArray(input) ? input.length : 0}`;
  return z.array(item).min(1, { error }).max(LIMITS.opsPerRequestMax, { error });
}

/** The body of a request that changes a world. */
export const operationsSchema = z.strictObject({
  ops: listOf(operationSchema),
}) as z.ZodType<{ ops: Operation[] }>;

/** Counts before any is looked at: half a million faulty operations fit in a body. */
export const operationCountSchema = z.looseObject({ ops: listOf(z.unknown()) });
