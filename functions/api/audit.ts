import { accepts } from 'hono/accepts';
import type { AppContext } from '../http/context.ts';
import { NDJSON, streamLines } from '../http/ndjson.ts';
import { readQuery, refuseParameter } from '../http/query.ts';

const JSON_TYPE = 'application/json';

/** GET /v1/audit */
export async function listAudit(c: AppContext): Promise<Response> {
  const names = ['space', 'actor', 'table', 'object', 'from', 'to', 'limit', 'cursor'] as const;
  const { limit, cursor, ...filter } = readQuery(c, names);
  const type = accepts(c, { header: 'Accept', supports: [JSON_TYPE, NDJSON], default: JSON_TYPE });
  const { tenantId } = c.get('principal');
  const { audit } = c.get('services');
  c.header('Vary', 'Accept', { append: true });
  if (type === JSON_TYPE) return c.json(await audit.list(tenantId, filter, { limit, cursor }));
  for (const [name, value] of Object.entries({ limit, cursor }))
    if (value !== undefined) throw refuseParameter(name, 'is for JSON only: NDJSON has every entry');
  const lines = await audit.readLines(tenantId, filter);
  return c.body(streamLines(c, lines), 200, { 'Content-Type': NDJSON });
}
