import { sql } from 'drizzle-orm';
import { check, foreignKey, index, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import type { JsonObject } from '../../world/types.ts';
import { id, idCheck, lengthCheck, propertiesCheck, tenantId, time } from './columns.ts';
import { tenants } from './tenants.ts';

/** People, known to a whole tenant. */
export const users = pgTable(
  'users',
  {
    tenantId: tenantId(),
    userId: id('user_id').notNull(),
    displayName: text('display_name').notNull(),
    avatarUrl: text('avatar_url'),
    properties: jsonb('properties').$type<JsonObject>().notNull().default({}),
    createdAt: time('created_at').notNull().defaultNow(),
    lastSeenAt: time('last_seen_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.userId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    idCheck('users_id_form', t.userId),
    lengthCheck('users_display_name_size', t.displayName, 256),
    lengthCheck('users_avatar_url_size', t.avatarUrl, 2048),
    propertiesCheck('users_properties_size', t.properties),
  ],
);

/** A person's stay in one space. */
export const sessions = pgTable(
  'sessions',
  {
    tenantId: tenantId(),
    sessionId: id('session_id').notNull(),
    spaceId: id('space_id').notNull(),
    userId: id('user_id').notNull(),
    role: text('role').notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
    expiresAt: time('expires_at').notNull(),
    lastHeartbeatAt: time('last_heartbeat_at'),
    endedAt: time('ended_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.sessionId] }),
    foreignKey({ columns: [t.tenantId, t.userId], foreignColumns: [users.tenantId, users.userId] }).onDelete(
      'cascade',
    ),
    index('sessions_of_space').on(t.tenantId, t.spaceId, t.expiresAt),
    idCheck('sessions_id_form', t.sessionId, t.spaceId),
    check('sessions_role_known', sql`${t.role} in ('viewer', 'editor', 'owner')`),
  ],
);
