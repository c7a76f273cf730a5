import { readCursor, writeCursor } from '../world/cursor.ts';
import { AppError, type FieldError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { checkPageLimit, ID_PATTERN, ID_RULE } from '../world/schemas.ts';
import type { Page } from '../world/types.ts';
import {
  AUDIT_TABLES,
  type AuditEntry,
  type AuditFilter,
  type AuditPlace,
  type AuditStore,
} from './audit-stores.ts';

const DAY_MS = 86_400_000;
const DAY = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$/;
/** A name of a role in Postgres, behind `role/`. */
const ROLE = /^role\/[^\0]{1,63}$/;

/** One line of the list as NDJSON. Without the last one, `end`, it is not whole. */
export type AuditLine = (AuditEntry & { kind: 'entry' }) | { kind: 'end'; entries: number };

/** The audit of tenants: who changed what. Triggers in Postgres write it; it is only read here. */
export class Audit {
  readonly #store: AuditStore;

  constructor(store: AuditStore) {
    this.#store = store;
  }

  /** A page, the newest first. @throws validation_failed */
  async list(
    tenantId: string,
    filter: AuditFilter,
    page: { limit?: number | string | undefined; cursor?: string | undefined } = {},
  ): Promise<Page<AuditEntry>> {
    const checked = checkFilter(filter);
    const limit = Math.min(checkPageLimit(page.limit), LIMITS.auditPageRowsMax);
    const { entries, next } = await this.#store.listAudit(tenantId, checked, limit, readPlace(page.cursor));
    return { items: entries, nextCursor: next && writeCursor(`${next.micros}.${next.id}`) };
  }

  /**
   * All entries that the filter lets through, the newest first, a page held at a time. The first page is read before this resolves.
   * @throws validation_failed
   */
  async readLines(tenantId: string, filter: AuditFilter): Promise<AsyncGenerator<AuditLine>> {
    const checked = checkFilter(filter);
    const read = (before: AuditPlace | null) =>
      this.#store.listAudit(tenantId, checked, LIMITS.auditPageRowsMax, before);
    const first = await read(null);
    return (async function* lines() {
      let count = 0;
      for (let page = first; ; page = await read(page.next)) {
        for (const entry of page.entries) yield { kind: 'entry' as const, ...entry };
        count += page.entries.length;
        if (page.next === null) break;
      }
      yield { kind: 'end' as const, entries: count };
    })();
  }
}

/** @returns the filter with times in full. A day as `from` begins there, and as `to` it is included. */
function checkFilter({ space, actor, table, object, from, to }: AuditFilter): AuditFilter {
  const errors: FieldError[] = [];
  const refuse = (path: string, message: string) => void errors.push({ path, message });
  if (space !== undefined && !ID_PATTERN.test(space)) refuse('/space', ID_RULE);
  if (actor !== undefined && !ID_PATTERN.test(actor) && !ROLE.test(actor))
    refuse('/actor', 'must be the id of a person or a key, or role/ and the name of a role');
  if (table !== undefined && !AUDIT_TABLES.some((name) => name === table))
    refuse('/table', `must be one of ${AUDIT_TABLES.join(', ')}`);
  if (object !== undefined && !ID_PATTERN.test(object)) refuse('/object', ID_RULE);
  const [fromMs, toMs] = [readTime(from, 0), readTime(to, DAY_MS)];
  const rule = 'must be a time such as 2026-11-28T12:00:00Z, or a day such as 2026-11-28';
  if (fromMs === null) refuse('/from', rule);
  if (toMs === null) refuse('/to', rule);
  if (fromMs && toMs && fromMs >= toMs) refuse('/from', 'must be before "to"');
  if (errors.length > 0) throw new AppError('validation_failed', 'The input is not valid.', { errors });
  return { space, actor, table, object, from: toText(fromMs), to: toText(toMs) };
}

/** Milliseconds since 1970; undefined where none is given, null for no time. @param dayMs is added to a day */
function readTime(text: string | undefined, dayMs: number): number | undefined | null {
  if (text === undefined) return undefined;
  const isDay = DAY.test(text);
  if (!isDay && !TIME.test(text)) return null;
  const ms = Date.parse(isDay ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(ms)) return null;
  // JavaScript takes 30 February for 2 March.
  if (isDay && new Date(ms).toISOString().slice(0, 10) !== text) return null;
  return ms + (isDay ? dayMs : 0);
}

function toText(ms: number | undefined | null): string | undefined {
  return typeof ms === 'number' ? new Date(ms).toISOString() : undefined;
}

/** @throws validation_failed for a cursor from elsewhere */
function readPlace(cursor: string | undefined): AuditPlace | null {
  const text = readCursor(cursor);
  if (text === '') return null;
  const [, micros, id] = /^(\d{1,16})\.(\d{1,19})$/.exec(text) ?? [];
  if (micros === undefined || id === undefined)
    throw new AppError('validation_failed', 'The input is not valid.', {
      errors: [{ path: '/cursor', message: 'must be a cursor from an earlier list response' }],
    });
  return { micros, id };
}
