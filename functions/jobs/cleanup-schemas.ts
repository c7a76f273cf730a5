import * as z from 'zod';

/** The counts of a cleanup. */
export const cleanupReportAnswer = z.strictObject({
  counts: z
    .record(z.string(), z.int().min(0))
    .describe('By step: rows, days of events, spaces or files. A step that found nothing is absent.'),
  left: z.array(z.string()).describe('Steps that another call continues.'),
});
