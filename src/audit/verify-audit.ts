import type { Chain, DayReport, Head, RowFinding, VerifyStore } from './seal-stores.ts';

export interface VerifyOptions {
  /** Without it: every tenant that has audit rows or seals. */
  tenantId?: string | undefined;
  /** Days in UTC. The rows from `from` on must be there, even if their day is over its time. */
  from?: string | undefined;
  to?: string | undefined;
  /** Seals that the chains must contain, by tenant. */
  heads?: ReadonlyMap<string, { number: number | null; hash: string }>;
  signal?: AbortSignal;
  onProgress?: (progress: { tenants: number; rows: number }) => void;
}

/** A fault that the verification found in a row or in a seal. */
export interface Problem {
  kind:
    | 'row_altered'
    | 'row_mixed'
    | 'row_removed'
    | 'row_added'
    | 'row_repeated'
    | 'seal_changed'
    | 'seal_broken'
    | 'seal_missing'
    | 'head_missing';
  /** Rows, or seals. */
  count: number;
  /** Of the first. */
  day: string | null;
  auditId: number | null;
  seal: number | null;
}

export interface TenantReport {
  tenantId: string;
  /** Rows that were compared, and seals of the chain. */
  rows: number;
  seals: number;
  /** The first and the last day with rows or seals, within the asked span. */
  from: string | null;
  to: string | null;
  erased: { rows: number; actors: number };
  unsealed: { rows: number; oldestAt: string | null };
  /** Rows that the seals of past days name: they have gone with their day. */
  expired: number;
  head: Head | null;
  problems: Problem[];
}

export interface VerifyReport {
  intact: boolean;
  /** The oldest day whose rows have not gone, of all tenants. */
  oldestDay: string | null;
  tenants: TenantReport[];
}

const ROW_PROBLEMS = {
  altered: 'row_altered',
  mixed: 'row_mixed',
  removed: 'row_removed',
  added: 'row_added',
} as const satisfies Partial<Record<RowFinding, Problem['kind']>>;

/** Compares all audit rows with their seals, one tenant and day after the other. The database compares, so memory does not grow with rows. */
export async function verifyAudit(store: VerifyStore, options: VerifyOptions): Promise<VerifyReport> {
  const { tenantId, heads = new Map<string, never>(), signal, onProgress } = options;
  const tenants: TenantReport[] = [];
  let rows = 0;
  const verify = async (id: string) => {
    tenants.push(
      await verifyTenant(store, id, options, (dayRows) => {
        rows += dayRows;
        onProgress?.({ tenants: tenants.length, rows });
      }),
    );
  };
  if (tenantId === undefined) {
    for (let id = await store.nextTenant(''); id !== null; id = await store.nextTenant(id)) {
      signal?.throwIfAborted();
      await verify(id);
    }
    // A tenant that has lost everything is not listed.
    for (const id of heads.keys()) if (!tenants.some((known) => known.tenantId === id)) await verify(id);
  } else {
    await verify(tenantId);
  }
  return {
    intact: tenants.every(({ problems }) => problems.length === 0),
    oldestDay: await store.readOldestDay(),
    tenants,
  };
}

async function verifyTenant(
  store: VerifyStore,
  tenantId: string,
  { from, to, heads, signal }: VerifyOptions,
  onRows: (rows: number) => void,
): Promise<TenantReport> {
  const days = (await store.listDays(tenantId)).filter(
    (day) => (from === undefined || day >= from) && (to === undefined || day <= to),
  );
  const chain = await store.readChain(tenantId);
  // Read after the chain and after each day, because a cleanup may run meanwhile: it drops days first.
  const isGone = async (day: string) => {
    const oldestDay = await store.readOldestDay();
    return (from === undefined || day < from) && oldestDay !== null && day < oldestDay;
  };
  const problems = await listSealProblems(chain, isGone);
  const head = heads?.get(tenantId);
  if (head !== undefined && !(await store.hasSeal(tenantId, head)))
    problems.push({ kind: 'head_missing', count: 1, day: null, auditId: null, seal: head.number });
  const report: TenantReport = {
    tenantId,
    rows: 0,
    seals: chain.seals,
    from: days[0] ?? null,
    to: days.at(-1) ?? null,
    erased: { rows: 0, actors: 0 },
    unsealed: { rows: 0, oldestAt: null },
    expired: 0,
    head: chain.head,
    problems,
  };
  for (const day of days) {
    signal?.throwIfAborted();
    const compared = await store.compareDay(tenantId, day);
    const { rows, repeated } = await addDay(report, day, compared, isGone);
    // A copy of a row has the same hash.
    if (repeated > 0) {
      const auditId = await store.findRepeated(tenantId, day);
      addProblem(problems, { kind: 'row_repeated', count: repeated, day, auditId, seal: null });
    }
    onRows(rows);
  }
  return report;
}

/** Adds the findings of a day to a report. @returns the number of its rows, and of rows above one for each name */
async function addDay(
  report: TenantReport,
  day: string,
  { findings, named, actorsErased }: DayReport,
  isGone: (day: string) => Promise<boolean>,
): Promise<{ rows: number; repeated: number }> {
  let [rows, matches] = [0, 0];
  for (const { finding, count, auditId, seal, oldestAt } of findings) {
    if (finding !== 'removed') rows += count;
    if (finding !== 'added' && finding !== 'unsealed') matches += count;
    if (finding === 'removed' && (await isGone(day))) report.expired += count;
    else if (finding === 'erased') report.erased.rows += count;
    else if (finding === 'unsealed') {
      report.unsealed.rows += count;
      report.unsealed.oldestAt ??= oldestAt;
    } else if (finding !== 'intact')
      addProblem(report.problems, { kind: ROW_PROBLEMS[finding], count, day, auditId, seal });
  }
  report.erased.actors += actorsErased;
  report.rows += rows;
  return { rows, repeated: matches - named };
}

/** The first of a kind stays, and counts the others. */
function addProblem(problems: Problem[], problem: Problem): void {
  const known = problems.find(({ kind }) => kind === problem.kind);
  if (known === undefined) problems.push(problem);
  else known.count += problem.count;
}

/** The seals before the oldest one may have gone only if their days have. */
async function listSealProblems(
  { faults, oldest }: Chain,
  isGone: (day: string) => Promise<boolean>,
): Promise<Problem[]> {
  const problems = faults.map(({ fault, count, number }): Problem => {
    // The number before it is missing.
    const seal = fault === 'missing' ? number - 1 : number;
    return { kind: `seal_${fault}`, count, day: null, auditId: null, seal };
  });
  if (
    oldest !== null &&
    oldest.number > 1 &&
    !(oldest.previousDay !== null && (await isGone(oldest.previousDay)))
  )
    addProblem(problems, {
      kind: 'seal_missing',
      count: 1,
      day: oldest.previousDay,
      auditId: null,
      seal: oldest.number - 1,
    });
  return problems;
}
