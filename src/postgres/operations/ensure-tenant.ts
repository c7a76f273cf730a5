import type { Postgres } from '../client.ts';
import { tenants } from '../schema/tenants.ts';

/** Makes the tenant where it is new. */
export async function ensureTenant(postgres: Postgres, tenantId: string): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [db.insert(tenants).values({ tenantId }).onConflictDoNothing()]);
}
