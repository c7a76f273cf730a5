/** The result of one call of the job. See the SQL function seal_audit. */
export interface Sealed {
  /** `moved`: the database came from another cluster, and the next call continues. */
  status: 'sealed' | 'moved' | 'busy';
  rows: number;
  seals: number;
  /** The age of the oldest row that waits for an older transaction to end; null: none waits. */
  waitingSeconds: number | null;
}

/** The part of a database that AuditSealer needs. */
export interface SealStore {
  /** One transaction that seals at most `limit` rows of all tenants. */
  sealAudit(limit: number): Promise<Sealed>;
}

/** A seal of a chain: its place and its hash in hex. */
export interface Head {
  number: number;
  hash: string;
}

/** Seals with one fault: how many, and the first. */
export interface SealFault {
  /** `changed`: its own hash does not match. `broken`: it does not follow the one before. `missing`: the number before is not there. */
  fault: 'changed' | 'broken' | 'missing';
  count: number;
  number: number;
}

/** The chain of seals of a tenant. */
export interface Chain {
  seals: number;
  head: Head | null;
  /** The oldest seal that is left, and the day of the seal before it. */
  oldest: { number: number; previousDay: string | null } | null;
  faults: SealFault[];
}

/**
 * `erased`: intact, and the content is gone. `mixed`: it has the hash of an erased content, and also a content. `added`: the job has passed its
 * transaction, and no seal names it. `unsealed`: no seal names it yet.
 */
export type RowFinding = 'intact' | 'erased' | 'altered' | 'mixed' | 'removed' | 'added' | 'unsealed';

/** Rows of a day with one finding: how many, the lowest id, the seal that names it, the earliest time of them. */
export interface DayFinding {
  finding: RowFinding;
  count: number;
  auditId: number;
  seal: number | null;
  oldestAt: string | null;
}

export interface DayReport {
  findings: DayFinding[];
  /** Names in the seals of the day. */
  named: number;
  /** Rows whose actor was erased. */
  actorsErased: number;
}

/** The part of a database that `verifyAudit` reads. Days are ISO dates in UTC. */
export interface VerifyStore {
  /** The first tenant behind `after` that has audit rows or seals; null: there is none left. */
  nextTenant(after: string): Promise<string | null>;
  /** The oldest day whose rows have not gone; null: no day is there. */
  readOldestDay(): Promise<string | null>;
  readChain(tenantId: string): Promise<Chain>;
  /** Whether the chain has a seal with this hash, and with this number if one is given. */
  hasSeal(tenantId: string, head: { number: number | null; hash: string }): Promise<boolean>;
  /** The days that have rows or seals, in their order. */
  listDays(tenantId: string): Promise<string[]>;
  compareDay(tenantId: string, day: string): Promise<DayReport>;
  /** The lowest id that two rows of a day have; null: each id is there once. */
  findRepeated(tenantId: string, day: string): Promise<number | null>;
}
