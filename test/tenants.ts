import { ApiKeys } from '../src/access/api-keys.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { openNeon } from '../src/postgres/neon.ts';
import type { Scope } from '../src/world/types.ts';
import { stack, uniqueName } from './support.ts';

export interface TestTenant {
  tenantId: string;
  /** Makes a new key of the tenant: the text after `Bearer`. */
  apiKey(scopes: readonly Scope[]): Promise<string>;
}

/** Makes a tenant that no other test has, with the code of the command line. */
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
