import type { AuditStore } from '../audit/audit-stores.ts';
import type { Postgres } from './client.ts';
import { listAudit } from './operations/list-audit.ts';

/** The store of Audit, on Postgres. */
export function createAuditStore(postgres: Postgres): AuditStore {
  return {
    listAudit: (...args) => listAudit(postgres, ...args),
  };
}
