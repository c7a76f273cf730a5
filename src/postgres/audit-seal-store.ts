import type { SealStore, VerifyStore } from '../audit/seal-stores.ts';
import type { Postgres } from './client.ts';
import { sealAudit } from './operations/seal-audit.ts';
import {
  compareAuditDay,
  findRepeatedRow,
  hasSeal,
  listAuditDays,
  nextAuditTenant,
  readChain,
  readOldestAuditDay,
} from './operations/verify-audit.ts';

/** The store of AuditSealer, on Postgres. */
export function createSealStore(postgres: Postgres): SealStore {
  return { sealAudit: (limit) => sealAudit(postgres, limit) };
}

/** The store of verifyAudit, on Postgres. It uses the rights of the runtime role. */
export function createVerifyStore(postgres: Postgres): VerifyStore {
  return {
    nextTenant: (after) => nextAuditTenant(postgres, after),
    readOldestDay: () => readOldestAuditDay(postgres),
    readChain: (tenantId) => readChain(postgres, tenantId),
    hasSeal: (...args) => hasSeal(postgres, ...args),
    listDays: (tenantId) => listAuditDays(postgres, tenantId),
    compareDay: (...args) => compareAuditDay(postgres, ...args),
    findRepeated: (...args) => findRepeatedRow(postgres, ...args),
  };
}
