import type { ApiKey, Page, Scope } from './world/types.ts';

/** What ApiKeys needs of a database. */
export interface ApiKeyStore {
  insertKey(key: {
    tenantId: string;
    id: string;
    secretSha256: string;
    scopes: readonly Scope[];
    expiresAt: string | null;
  }): Promise<ApiKey>;
  /** @param secretSha256 lower-case hex. The tenant is set before the lookup, so row security holds for it too. */
  findKey(tenantId: string, secretSha256: string): Promise<ApiKey | null>;
  listKeys(tenantId: string, limit: number, after: string): Promise<ApiKey[]>;
  /** @returns false where there is no such key; revoking twice is the same as once. */
  revokeKey(tenantId: string, id: string): Promise<boolean>;
}

export type { ApiKey, Page };
