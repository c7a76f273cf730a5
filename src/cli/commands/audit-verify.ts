import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { Problem, TenantReport, VerifyOptions, VerifyReport } from '../../audit/verify-audit.ts';
import { countOf, showCount } from '../../helpers/counts.ts';
import { LIMITS } from '../../world/limits.ts';
import { ID_RULE, idSchema } from '../../world/schemas.ts';
import { defineCommand, JSON_OPTION, type Outcome } from '../command.ts';
import { resolveDatabaseUrl } from '../connection.ts';
import { CommandError, systemCode, UsageError } from '../errors.ts';

const PROGRESS_MS = 2_000;

export const auditVerifyCommand = defineCommand({
  name: 'audit verify',
  description:
    'Compare the rows of the audit with their seals, straight in the database: was one changed, removed or added?',
  args: {
    tenant: { type: 'string', valueHint: 'id', description: 'Only this tenant' },
    from: {
      type: 'string',
      valueHint: 'day',
      description: 'From this day on (UTC); its rows must still be there',
    },
    to: { type: 'string', valueHint: 'day', description: 'Until this day' },
    head: {
      type: 'string',
      valueHint: 'hash',
      description: 'A head that was kept: the chain of --tenant must still contain it',
    },
    heads: {
      type: 'string',
      valueHint: 'file',
      description: 'The output of an earlier audit verify --json: all chains must still contain their heads',
    },
    ...JSON_OPTION,
  },
  examples: [
    'audit verify',
    'audit verify --tenant acme --from 2026-11-01',
    'audit verify --heads heads.json',
  ],
  async run({ tenant: tenantId, from, to, head, heads: headsFile }, context) {
    if (tenantId !== undefined && !idSchema.safeParse(tenantId).success)
      throw new UsageError(`--tenant ${ID_RULE}`);
    checkDay('--from', from);
    checkDay('--to', to);
    if (from !== undefined && to !== undefined && from > to)
      throw new UsageError('--from must not be after --to');
    const heads = headsFile === undefined ? new Map() : await readHeads(headsFile, tenantId);
    if (head !== undefined) {
      if (tenantId === undefined) throw new UsageError('--head needs --tenant');
      if (!/^[0-9a-f]{64}$/.test(head)) throw new UsageError('--head must be 64 hexadecimal digits');
      heads.set(tenantId, { number: null, hash: head });
    }
    const databaseUrl = resolveDatabaseUrl(context);
    // Loaded here: few commands need a database driver.
    const [{ openPg }, { createVerifyStore }, { verifyAudit }] = await Promise.all([
      import('../../postgres/pg.ts'),
      import('../../postgres/audit-seal-store.ts'),
      import('../../audit/verify-audit.ts'),
    ]);
    const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: LIMITS.auditVerifyMsMax });
    let notedMs = Date.now();
    const options: VerifyOptions = {
      tenantId,
      from,
      to,
      heads,
      signal: context.signal,
      onProgress({ tenants, rows }) {
        if (Date.now() - notedMs < PROGRESS_MS) return;
        notedMs = Date.now();
        context.progress.note(`compared ${countOf(rows, 'row')}; ${countOf(tenants, 'tenant')} done`);
      },
    };
    try {
      const report = await verifyAudit(createVerifyStore(postgres), options);
      if (tenantId !== undefined && report.tenants.every(isEmpty))
        throw new CommandError('not_found', `the audit has no rows and no seals of the tenant ${tenantId}`);
      return describe(report);
    } catch (error) {
      if (context.signal.aborted) throw new CommandError('interrupted', 'interrupted');
      throw error;
    } finally {
      await postgres.close();
    }
  },
});

/** Nothing was compared, so nothing can be called intact. */
function isEmpty({ rows, seals, unsealed, problems }: TenantReport): boolean {
  return rows + seals + unsealed.rows + problems.length === 0;
}

function checkDay(option: string, text: string | undefined): void {
  if (text === undefined) return;
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text)
    throw new UsageError(`${option} must be a day such as 2026-11-28, not ${JSON.stringify(text)}`);
}

const headsSchema = z.object({
  tenants: z.array(
    z.object({
      tenantId: z.string(),
      head: z.object({ number: z.int(), hash: z.string().regex(/^[0-9a-f]{64}$/) }).nullable(),
    }),
  ),
});

/** @param tenantId only the head of this tenant; undefined: of all */
async function readHeads(
  file: string,
  tenantId: string | undefined,
): Promise<Map<string, { number: number | null; hash: string }>> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UsageError(`--heads ${file} cannot be read: ${systemCode(error)}`, { showUsage: false });
  });
  try {
    const { tenants } = headsSchema.parse(JSON.parse(text));
    return new Map(
      tenants.flatMap(({ tenantId: id, head }) =>
        head === null || (tenantId !== undefined && id !== tenantId) ? [] : [[id, head] as const],
      ),
    );
  } catch {
    throw new UsageError(`--heads ${file} is not the output of audit verify --json`, { showUsage: false });
  }
}

function describe(report: VerifyReport): Outcome {
  const { intact, oldestDay, tenants } = report;
  const wrong = tenants.filter(({ problems }) => problems.length > 0);
  const sum = intact
    ? `intact: ${countOf(tenants.length, 'tenant')}; the oldest day that is kept is ${oldestDay ?? 'none'}`
    : `NOT INTACT: ${wrong.map(({ tenantId }) => tenantId).join(', ')}`;
  return { document: report, text: [...tenants.map(describeTenant), sum].join('\n'), failed: !intact };
}

function describeTenant({
  tenantId,
  rows,
  seals,
  from,
  to,
  erased,
  unsealed,
  expired,
  head,
  problems,
}: TenantReport): string {
  const span = from === null ? '' : from === to ? ` of ${from}` : ` of ${from} to ${to}`;
  const gone = [
    ...(erased.rows > 0 ? [countOf(erased.rows, 'content')] : []),
    ...(erased.actors > 0 ? [countOf(erased.actors, 'actor')] : []),
  ];
  const facts = [
    `${tenantId}: ${countOf(rows, 'row')}${span} in ${countOf(seals, 'seal')}`,
    ...(gone.length > 0 ? [`${gone.join(' and ')} erased`] : []),
    ...(expired > 0 ? [`${countOf(expired, 'row')} went with their days`] : []),
    ...(unsealed.rows > 0
      ? [`${countOf(unsealed.rows, 'row')} not sealed yet, the oldest of ${unsealed.oldestAt}`]
      : []),
  ];
  return [
    facts.join('; '),
    ...problems.map((problem) => `  WRONG ${describeProblem(problem)}`),
    ...(head === null ? [] : [`  head ${head.hash} (seal ${head.number})`]),
  ].join('\n');
}

function describeProblem({ kind, count, day, auditId, seal }: Problem): string {
  const row = `row ${auditId} of ${day}`;
  const more = count > 1 ? ` (the first of ${showCount(count)})` : '';
  switch (kind) {
    case 'row_altered':
      return `${row} was changed after seal ${seal}${more}`;
    case 'row_mixed':
      return `${row} counts as erased, and still has a text${more}`;
    case 'row_removed':
      return `${row} was removed: seal ${seal} names it${more}`;
    case 'row_added':
      return `${row} was added later: no seal names it, although its time has been sealed${more}`;
    case 'row_repeated':
      return `${row} is there twice${more}`;
    case 'seal_changed':
      return `seal ${seal} was changed: its hash does not match${more}`;
    case 'seal_broken':
      return `seal ${seal} does not follow the seal before it: one of them was written again${more}`;
    case 'seal_missing':
      return `seal ${seal} was removed${more}`;
    case 'head_missing':
      return `the chain does not contain the head that was kept: it was written again, or its end was removed`;
  }
}
