import * as z from 'zod';
import type { ReportName } from '../../src/analytics/reports.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { JsonObject } from '../../src/world/types.ts';
import { createReportHandler } from '../api/analytics.ts';
import type { ComponentName } from '../openapi/components.ts';
import type { QueryDoc, Route } from '../openapi/types.ts';
import { answer } from './shorthand.ts';

const SPAN: Readonly<Record<string, QueryDoc>> = {
  from: {
    schema: z.iso.date(),
    description: `The first day, in UTC. Default: ${LIMITS.analyticsDaysDefault} days together. At most ${LIMITS.analyticsDaysMax} days.`,
    example: '2026-11-01',
  },
  to: { schema: z.iso.date(), description: 'The last day, in UTC. Default: today.', example: '2026-11-28' },
};

const USAGE = { people: 12, sessions: 19, minutes: 431.5, changes: 8_204, messages: 57, peak: 9 };

export const ANALYTICS_ROUTES: readonly Route[] = [
  describeReport('activity', {
    Name: 'Activity',
    schema: 'ActivityReport',
    summary: 'People, sessions, minutes, changes and messages of each day and space',
    row: { day: '2026-11-27', spaceId: 'plaza', ...USAGE },
    csv: 'day,spaceId,people,sessions,minutes,changes,messages,peak\r\n2026-11-27,plaza,12,19,431.5,8204,57,9\r\n',
  }),
  describeReport('spaces', {
    Name: 'Spaces',
    schema: 'SpaceReport',
    summary: 'The use of each space',
    row: {
      spaceId: 'plaza',
      name: 'Plaza',
      ...USAGE,
      objects: 2_481,
      lastChangeAt: '2026-11-27T18:02:11.530Z',
    },
    csv: 'spaceId,name,people,sessions,minutes,changes,messages,peak,objects,lastChangeAt\r\nplaza,Plaza,12,19,431.5,8204,57,9,2481,2026-11-27T18:02:11.530Z\r\n',
  }),
  describeReport('models', {
    Name: 'Models',
    schema: 'ModelReport',
    summary: 'The models that objects use, the most used first',
    row: { modelId: 'chair', name: 'Chair', objects: 640, spaces: 3 },
    csv: 'modelId,name,objects,spaces\r\nchair,Chair,640,3\r\n',
  }),
  describeReport('retention', {
    Name: 'Retention',
    schema: 'RetentionReport',
    summary: 'People who came back 1, 7 and 30 days after their first day',
    row: { day: '2026-11-18', people: 40, day1: 18, day7: 11, day30: null },
    csv: 'day,people,day1,day7,day30\r\n2026-11-18,40,18,11,\r\n',
  }),
];

function describeReport(
  name: ReportName,
  {
    Name,
    schema,
    summary,
    row,
    csv,
  }: { Name: string; schema: ComponentName; summary: string; row: JsonObject; csv: string },
): Route {
  const example = {
    from: '2026-11-01',
    to: '2026-11-28',
    refreshedAt: '2026-11-28T09:07:02.114Z',
    rows: [row],
    truncated: false,
  };
  const { content, ...rest } = answer('The report.', schema, example, ['Content-Disposition']);
  return {
    method: 'get',
    path: `/v1/analytics/${name}`,
    operationId: `get${Name}Report`,
    tag: 'Analytics',
    access: ['read'],
    handler: createReportHandler(name),
    summary,
    description: `Only API keys may read it. The figures are counted every hour; \`refreshedAt\` is when. With \`Accept: text/csv\` the answer is a file for spreadsheets. A report has at most ${LIMITS.analyticsRowsMax} rows, and \`truncated\` tells of more. A file with more rows is refused.`,
    query: SPAN,
    answers: {
      200: {
        ...rest,
        content: { ...content, 'text/csv': { schema: { type: 'string' }, examples: { file: csv } } },
      },
    },
  };
}
