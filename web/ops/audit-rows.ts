import type { AuditFilter } from './context.ts';
import { isolate, make, makeJson, makeTime } from './elements.ts';
import type { Page, Server } from './server.ts';

/** One change in the answer of GET /v1/audit. */
export interface AuditEntry {
  id: string;
  at: string;
  actor: string | null;
  requestId: string | null;
  table: string;
  action: string;
  spaceId: string | null;
  objectId: string | null;
  userId: string | null;
  old: unknown;
  new: unknown;
  isErased: boolean;
}

const PAGE_LIMIT = 100;

export function loadAudit(
  server: Server,
  filter: AuditFilter,
  cursor: string | null,
): Promise<Page<AuditEntry>> {
  return server.call('GET', '/v1/audit', { query: { ...filter, limit: PAGE_LIMIT, cursor } });
}

/** The texts of an entry. The content of an erased person is gone. */
export function describeAudit(
  entry: AuditEntry,
): Record<'time' | 'actor' | 'action' | 'before' | 'after' | 'request', Node> {
  const show = (value: unknown) =>
    entry.isErased && value === null
      ? make('i', {}, 'erased')
      : value === null
        ? make('span', {}, '–')
        : makeJson(value);
  return {
    time: makeTime(entry.at),
    actor: isolate(entry.actor ?? '–'),
    action: make('span', {}, entry.action),
    before: show(entry.old),
    after: show(entry.new),
    request: make('code', {}, entry.requestId ?? '–'),
  };
}
