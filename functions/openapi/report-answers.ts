import * as z from 'zod';
import { type Report, type ReportName, VIEWS, type ViewName } from '../../src/analytics/reports.ts';
import { LIMITS } from '../../src/world/limits.ts';
import { idSchema } from '../../src/world/schemas.ts';
import { countAnswer, timeAnswer } from './answers.ts';

const dayAnswer = z.iso.date();
const usageMembers = {
  sessions: countAnswer.describe('Sessions that began.'),
  minutes: z.number().min(0).describe('Minutes of the sessions that ended.'),
  changes: countAnswer.describe('Operations that changed objects and avatars.'),
  messages: countAnswer,
  peak: countAnswer
    .nullable()
    .describe('The most sessions open at one time. Null: none, or the events of that time are deleted.'),
};
const reportedSpaceId = idSchema.nullable().describe('Null: events that name no space.');

function reportOf<Name extends ReportName>(
  row: z.ZodType<Report<Name>['rows'][number]>,
): z.ZodType<Report<Name>> {
  return z.strictObject({
    from: dayAnswer,
    to: dayAnswer,
    refreshedAt: timeAnswer.nullable().describe('When the figures were last counted. Null: never.'),
    rows: z.array(row).max(LIMITS.analyticsRowsMax),
    truncated: z.boolean().describe(`There are more rows than ${LIMITS.analyticsRowsMax}.`),
  }) as unknown as z.ZodType<Report<Name>>;
}

export const activityReportAnswer = reportOf<'activity'>(
  z.strictObject({ day: dayAnswer, spaceId: reportedSpaceId, people: countAnswer, ...usageMembers }),
);
export const spaceReportAnswer = reportOf<'spaces'>(
  z.strictObject({
    spaceId: reportedSpaceId,
    name: z.string().nullable().describe('Null: the space is deleted, or newer than the figures.'),
    people: countAnswer.describe('Each person counts once.'),
    ...usageMembers,
    objects: countAnswer.nullable().describe('Now.'),
    lastChangeAt: timeAnswer.nullable(),
  }),
);
export const modelReportAnswer = reportOf<'models'>(
  z.strictObject({
    modelId: idSchema,
    name: z.string().nullable().describe('Null: the library does not have it.'),
    objects: countAnswer.describe('Objects that use it now and were created in the span.'),
    spaces: countAnswer.describe('The spaces of these objects.'),
  }),
);
const returned = countAnswer.nullable().describe('People who were there so many days later. Null: not over.');
export const retentionReportAnswer = reportOf<'retention'>(
  z.strictObject({
    day: dayAnswer.describe('The first day of these people.'),
    people: countAnswer,
    day1: returned,
    day7: returned,
    day30: returned,
  }),
);

const viewNames: readonly ViewName[] = VIEWS;
export const refreshReportAnswer: z.ZodType<{ views: Partial<Record<ViewName, number>> }> = z.strictObject({
  views: z
    .partialRecord(z.enum(viewNames), z.number().min(0))
    .describe('The milliseconds of each refreshed view.'),
});
