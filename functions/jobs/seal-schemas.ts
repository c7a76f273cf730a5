import * as z from 'zod';

/** The counts of a run that seals. */
export const sealReportAnswer = z.strictObject({
  status: z.enum(['done', 'continues', 'busy']),
  rows: z.int().min(0),
  seals: z.int().min(0).describe('One for each tenant and day in a step.'),
  waitingSeconds: z
    .number()
    .min(0)
    .nullable()
    .describe('The age of the oldest row that waits for an older transaction to end.'),
});
