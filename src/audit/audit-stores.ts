import type { JsonObject } from '../world/types.ts';

/** The tables whose rows are audited. */
export const AUDIT_TABLES = [
  'api_keys',
  'chat_messages',
  'dead_letters',
  'media_assets',
  'sessions',
  'space_members',
  'spaces',
  'tenants',
  'uploaded_models',
  'users',
  'world_objects',
] as const;

export type AuditAction = 'insert' | 'update' | 'delete' | 'replace' | 'erase';

/** One change of one row. */
export interface AuditEntry {
  id: string;
  /** When the transaction began that made the change. */
  at: string;
  /** A person, a key, or `role/` and the role that was logged in; null: nobody was named. */
  actor: string | null;
  requestId: string | null;
  table: string;
  action: AuditAction;
  spaceId: string | null;
  /** The id of the row: of an object, a message, a key and so on. */
  objectId: string | null;
  /** The person whom the row is about. */
  userId: string | null;
  /** Columns before the change; null for an insert. */
  old: JsonObject | null;
  /** Columns after the change; null for a deletion. */
  new: JsonObject | null;
  /** A person was erased: the actor, or the subject of the change. */
  isErased: boolean;
}

/** Only entries that are like this. Times are ISO 8601. */
export interface AuditFilter {
  space?: string | undefined;
  actor?: string | undefined;
  table?: string | undefined;
  object?: string | undefined;
  from?: string | undefined;
  /** Before this time. */
  to?: string | undefined;
}

/** The place of an entry in the list: the microseconds since 1970, and its id. */
export interface AuditPlace {
  micros: string;
  id: string;
}

export interface AuditPage {
  entries: AuditEntry[];
  /** Of the last entry, if there are more. */
  next: AuditPlace | null;
}

/** The part of a database that Audit needs. */
export interface AuditStore {
  /** Entries of a tenant, the newest first: at most `limit`, and at most `LIMITS.auditPageBytesMax` of text, but at least one. */
  listAudit(
    tenantId: string,
    filter: AuditFilter,
    limit: number,
    before: AuditPlace | null,
  ): Promise<AuditPage>;
}
