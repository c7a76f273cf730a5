import { ID_RULE, idSchema } from '../../world/schemas.ts';
import type { Scope } from '../../world/types.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveDatabaseUrl } from '../connection.ts';
import { UsageError } from '../errors.ts';

const SCOPES: readonly Scope[] = ['read', 'write', 'admin'];
const DATABASE_TIMEOUT_MS = 15_000;

export const keysCreateCommand = defineCommand({
  name: 'keys create',
  description: 'Give out an API key, straight from the database; the tenant is made where it is new',
  args: {
    tenant: { type: 'string', required: true, valueHint: 'id', description: 'Id of the tenant' },
    scopes: {
      type: 'string',
      required: true,
      valueHint: 'read,write,admin',
      description: 'The scopes of the key, separated by commas',
    },
    expires: {
      type: 'string',
      valueHint: 'time',
      description: 'When it ends, in RFC 3339 (2030-01-31T00:00:00Z); else never',
    },
    ...JSON_OPTION,
  },
  examples: ['keys create --tenant acme --scopes read,write'],
  async run({ tenant, scopes: scopeList, expires }, context) {
    if (!idSchema.safeParse(tenant).success) throw new UsageError(`--tenant ${ID_RULE}`);
    const scopes = readScopes(scopeList);
    const expiresAt = expires === undefined ? null : readExpiry(expires);
    const databaseUrl = resolveDatabaseUrl(context);
    // Loaded here: no other command needs a database driver.
    const [{ openPg }, { createApiKeyStore }, { ApiKeys }] = await Promise.all([
      import('../../postgres/pg.ts'),
      import('../../postgres/api-key-store.ts'),
      import('../../access/api-keys.ts'),
    ]);
    const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: DATABASE_TIMEOUT_MS });
    try {
      const keys = new ApiKeys(createApiKeyStore(postgres), { now: Date.now, cacheMs: 0 });
      const { id, tenantId, secret, ...key } = await keys.issueFirst(tenant, { scopes, expiresAt });
      const document = { id, tenantId, scopes: key.scopes, expiresAt: key.expiresAt, secret };
      context.progress.note(
        `key ${id} of tenant ${tenantId}: ${key.scopes.join(', ')}. It is shown this once:`,
      );
      return { document, text: secret };
    } finally {
      await postgres.close();
    }
  },
});

function readScopes(list: string): Scope[] {
  const names = list.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !SCOPES.some((scope) => scope === name));
  if (unknown !== undefined)
    throw new UsageError(
      `--scopes must be of ${SCOPES.join(', ')} with commas between, not ${JSON.stringify(unknown)}`,
    );
  return [...new Set(names)] as Scope[];
}

function readExpiry(text: string): string {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(at))
    throw new UsageError(`--expires must be a time like 2030-01-31T00:00:00Z, not ${JSON.stringify(text)}`);
  if (at <= Date.now()) throw new UsageError('--expires must be in the future');
  return new Date(at).toISOString();
}
