import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { ApiKeyStore } from '../access/api-keys.ts';
import { AppError } from '../world/errors.ts';
import type { ApiKey, Scope } from '../world/types.ts';
import type { Postgres } from './client.ts';
import { ensureTenant } from './operations/ensure-tenant.ts';
import { toTime } from './rows.ts';
import { apiKeys } from './schema/tenants.ts';

const keyColumns = {
  id: apiKeys.keyId,
  tenantId: apiKeys.tenantId,
  scopes: apiKeys.scopes,
  createdAt: apiKeys.createdAt,
  expiresAt: apiKeys.expiresAt,
  revokedAt: apiKeys.revokedAt,
};

type KeyRow = Omit<ApiKey, 'scopes'> & { scopes: string[] };

function toApiKey({ scopes, createdAt, expiresAt, revokedAt, ...row }: KeyRow): ApiKey {
  return {
    ...row,
    scopes: scopes as Scope[],
    createdAt: toTime(createdAt),
    expiresAt: expiresAt && toTime(expiresAt),
    revokedAt: revokedAt && toTime(revokedAt),
  };
}

/** The store of ApiKeys, on Postgres. */
export function createApiKeyStore(postgres: Postgres): ApiKeyStore {
  return {
    ensureTenant: (tenantId) => ensureTenant(postgres, tenantId),

    async insertKey({ tenantId, id, secretSha256, scopes, expiresAt }) {
      try {
        const [rows] = await postgres.inTenant(tenantId, (db) => [
          db
            .insert(apiKeys)
            .values({ tenantId, keyId: id, secretSha256, scopes: [...scopes], expiresAt })
            .returning(keyColumns),
        ]);
        return rows[0] === undefined ? null : toApiKey(rows[0]);
      } catch (error) {
        // The foreign key: there is no such tenant.
        if (error instanceof AppError && error.code === 'not_found') return null;
        throw error;
      }
    },

    async findKey(tenantId, secretSha256) {
      const [rows] = await postgres.inTenant(
        tenantId,
        (db) => [
          db
            .select(keyColumns)
            .from(apiKeys)
            .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.secretSha256, secretSha256))),
        ],
        'snapshot',
      );
      return rows[0] === undefined ? null : toApiKey(rows[0]);
    },

    async listKeys(tenantId, limit, after) {
      const [rows] = await postgres.inTenant(
        tenantId,
        (db) => [
          db
            .select(keyColumns)
            .from(apiKeys)
            .where(and(eq(apiKeys.tenantId, tenantId), gt(apiKeys.keyId, after)))
            .orderBy(asc(apiKeys.keyId))
            .limit(limit),
        ],
        'snapshot',
      );
      return rows.map(toApiKey);
    },

    async revokeKey(tenantId, id) {
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db
          .update(apiKeys)
          .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, now())` })
          .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.keyId, id)))
          .returning({ id: apiKeys.keyId }),
      ]);
      return rows.length > 0;
    },
  };
}
