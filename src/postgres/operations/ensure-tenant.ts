import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';

/** Makes the tenant where it is new. It is looked for first, for each attempt to insert takes a number of `tenants`. */
export async function ensureTenant(postgres: Postgres, tenantId: string): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db.execute(sql`
      INSERT INTO tenants (tenant_id) SELECT ${tenantId}
      WHERE NOT EXISTS (SELECT FROM tenants WHERE tenant_id = ${tenantId})
      ON CONFLICT DO NOTHING`),
  ]);
}
