import { expandText } from '../../src/world/change.ts';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from '../http/context.ts';
import { readParam } from '../http/input.ts';
import { readMoveForm, readQuery, readSince } from '../http/query.ts';

/** GET /v1/spaces/{space}/changes */
export async function getChanges(c: AppContext): Promise<Response> {
  const query = readQuery(c, ['since', 'limit', 'expand']);
  const since = readSince(query.since);
  const moves = readMoveForm(query.expand);
  const { changes: spaceChanges } = c.get('services');
  if (spaceChanges === null) throw noLiveLog();
  const address = { tenantId: c.get('principal').tenantId, spaceId: readParam(c, 'space') };
  const { changes, head } = await spaceChanges.list(address, { since, limit: query.limit });
  // Unless moves are asked for as patches, operations go through as they were appended, and nothing reads them.
  const print = (ops: string) => (moves === 'operations' ? expandText(ops) : ops);
  const items = changes.map(
    ({ seq, actor, ops }) => `{"seq":${seq},"actor":${JSON.stringify(actor)},"ops":${print(ops)}}`,
  );
  return c.body(`{"changes":[${items.join(',')}],"head":${head}}`, 200, {
    'Content-Type': 'application/json',
  });
}

export function noLiveLog(): AppError {
  return new AppError(
    'no_live_log',
    'This server has no change log because it has no Redis. Read the state instead.',
  );
}
