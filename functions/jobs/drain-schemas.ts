import * as z from 'zod';
import type { DrainReport } from '../../src/log/drain.ts';
import type { SweepReport } from '../../src/log/sweeper.ts';
import { idSchema } from '../../src/world/schemas.ts';

export const drainSpaceInput = z.strictObject({ tenantId: idSchema, spaceId: idSchema });
export const drainAllInput = z.strictObject({});
/** One space, or all that have something to drain. */
export const drainJobInput = z.union([drainSpaceInput, drainAllInput]);

const count = z.int().min(0);
const spaceReport = z.strictObject({
  status: z
    .enum(['drained', 'continues', 'relieved', 'unknown_space'])
    .describe('`continues`: another call goes on. `relieved`: another drain is at it.'),
  operations: count,
  entries: count,
  batches: count,
  seq: count.nullable().describe('Up to where the database has it.'),
}) satisfies z.ZodType<DrainReport>;
const sweepReport = z.strictObject({
  spaces: count,
  operations: count,
  entries: count,
  batches: count,
  left: count.describe('Spaces that still have something to drain.'),
  events: count.describe('Events that were stored.'),
}) satisfies z.ZodType<SweepReport & { events: number }>;

/** Of one space, of all, or that this delivery was answered before. */
export const drainReportAnswer = z.union([
  spaceReport,
  sweepReport,
  z.strictObject({ status: z.literal('already_done') }),
]);
