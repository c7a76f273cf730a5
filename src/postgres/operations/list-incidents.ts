import { and, desc, eq, sql } from 'drizzle-orm';
import type { IncidentRecord } from '../../log/incidents.ts';
import type { Postgres } from '../client.ts';
import { toTime } from '../rows.ts';
import { incidents } from '../schema/log.ts';

/**
 * A page of a tenant's incidents, newest first.
 * @param of.spaceId null: of all spaces
 * @param of.before the id that the page before ended with, `''` for the first. Behind an incident that is gone there is none: it was
 * the oldest of its page, and the oldest go first.
 */
export async function listIncidents(
  postgres: Postgres,
  tenantId: string,
  { spaceId, before, limit }: { spaceId: string | null; before: string; limit: number },
): Promise<{ incidents: IncidentRecord[]; more: boolean }> {
  const { createdAt, incidentId } = incidents;
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          id: incidentId,
          spaceId: incidents.spaceId,
          kind: incidents.kind,
          detail: incidents.detail,
          at: createdAt,
        })
        .from(incidents)
        .where(
          and(
            eq(incidents.tenantId, tenantId),
            spaceId === null ? undefined : eq(incidents.spaceId, spaceId),
            before === ''
              ? undefined
              : sql`(${createdAt}, ${incidentId}) < (select last.created_at, last.incident_id from incidents last where last.tenant_id = ${tenantId} and last.incident_id = ${before})`,
          ),
        )
        .orderBy(desc(createdAt), desc(incidentId))
        .limit(limit + 1),
    ],
    'snapshot',
  );
  return {
    incidents: rows.slice(0, limit).map(({ at, ...row }) => ({ ...row, at: toTime(at) })),
    more: rows.length > limit,
  };
}
