import { sql } from 'drizzle-orm';
import { bigint, check, foreignKey, pgTable, primaryKey, text, unique } from 'drizzle-orm/pg-core';
import { hexBytes, id, idCheck, tenantId, time } from './columns.ts';

/**
 * The owners of worlds. `number` is part of the number of each world (see next_world). `rev` changes with every write outside of a space's order: users, models, media.
 */
export const tenants = pgTable(
  'tenants',
  {
    tenantId: id('tenant_id').primaryKey(),
    number: bigint('number', { mode: 'number' }).generatedAlwaysAsIdentity({ maxValue: 16_777_215 }).unique(),
    rev: bigint('rev', { mode: 'number' }).notNull().default(0),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [idCheck('tenants_id_form', t.tenantId)],
);

/** Credentials of servers: only the SHA-256 of a secret is kept. */
export const apiKeys = pgTable(
  'api_keys',
  {
    tenantId: tenantId(),
    keyId: id('key_id').notNull(),
    secretSha256: hexBytes('secret_sha256').notNull(),
    scopes: text('scopes').array().notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
    expiresAt: time('expires_at'),
    revokedAt: time('revoked_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.keyId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    unique('api_keys_secret').on(t.tenantId, t.secretSha256),
    idCheck('api_keys_id_form', t.keyId),
    check('api_keys_secret_size', sql`octet_length(${t.secretSha256}) = 32`),
    check(
      'api_keys_scopes_known',
      sql`${t.scopes} <@ array['read', 'write', 'admin'] and cardinality(${t.scopes}) > 0`,
    ),
  ],
);

/**
 * Numbers for the people and keys that sign objects: shorter in each row than their ids. An author who is erased keeps the
 * number, under a pseudonym.
 */
export const authors = pgTable(
  'authors',
  {
    tenantId: tenantId(),
    authorId: id('author_id').notNull(),
    number: bigint('number', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
  },
  (t) => [unique('authors_id').on(t.tenantId, t.authorId)],
);
