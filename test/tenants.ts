import { ApiKeys } from '../src/access/api-keys.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { openNeon } from '../src/postgres/neon.ts';
import type { Scope } from '../src/world/types.ts';
import { stack, uniqueName } from './support.ts';

export interface TestTenant {
  tenantId: string;
  /** A new key of the tenant, as it stands after `Bearer`. */
  apiKey(scopes: readonly Scope[]): Promise<string>;
}

/** A tenant that no other test has, made as the command line makes one. */
export async function makeTenant(tenantId = uniqueName('tenant')): Promise<TestTenant> {
  const { databaseUrl, databaseHttpUrl } = stack();
  const postgres = openNeon({ databaseUrl, fetchEndpoint: databaseHttpUrl, timeoutMs: 10_000 });
  const keys = new ApiKeys(createApiKeyStore(postgres), { now: () => Date.now(), cacheMs: 0 });
  await keys.issueFirst(tenantId, { scopes: ['read'] });
  return {
    tenantId,
    async apiKey(scopes) {
      return (await keys.issue(tenantId, { scopes })).secret;
    },
  };
}
