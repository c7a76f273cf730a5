import { accepts } from 'hono/accepts';
import type { Report, ReportName, ReportRows } from '../../src/analytics/reports.ts';
import type { AppContext } from '../http/context.ts';
import { writeCsv } from '../http/csv.ts';
import { readQuery, refuseParameter } from '../http/query.ts';

const JSON_TYPE = 'application/json';
const CSV = 'text/csv';

/** The columns of a report in CSV, in their order. */
const COLUMNS: { [Name in ReportName]: readonly (keyof ReportRows[Name] & string)[] } = {
  activity: ['day', 'spaceId', 'people', 'sessions', 'minutes', 'changes', 'messages', 'peak'],
  spaces: [
    ...(['spaceId', 'name', 'people', 'sessions', 'minutes', 'changes', 'messages', 'peak'] as const),
    ...(['objects', 'lastChangeAt'] as const),
  ],
  models: ['modelId', 'name', 'objects', 'spaces'],
  retention: ['day', 'people', 'day1', 'day7', 'day30'],
};

/** GET /v1/analytics/{name} */
export function createReportHandler<Name extends ReportName>(name: Name) {
  return async function getReport(c: AppContext): Promise<Response> {
    const { from, to } = readQuery(c, ['from', 'to']);
    const type = accepts(c, { header: 'Accept', supports: [JSON_TYPE, CSV], default: JSON_TYPE });
    const report = await c.get('services').analytics.read(c.get('principal').tenantId, name, { from, to });
    c.header('Vary', 'Accept', { append: true });
    return type === CSV ? answerCsv(c, name, report) : c.json(report);
  };
}

/** A file has no place to say that rows are missing, so it has all of them. @throws validation_failed */
function answerCsv<Name extends ReportName>(
  c: AppContext,
  name: Name,
  { from, to, rows, truncated }: Report<Name>,
): Response {
  if (truncated)
    throw refuseParameter('from', `must begin later: the file would have more than ${rows.length} rows`);
  return c.body(writeCsv(COLUMNS[name], rows), 200, {
    'Content-Type': `${CSV}; charset=utf-8`,
    'Content-Disposition': `attachment; filename="${name}-${from}-${to}.csv"`,
  });
}
