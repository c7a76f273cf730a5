import type { AppContext } from '../http/context.ts';
import { verifyQstash } from '../http/qstash-signature.ts';
import { readQuery } from '../http/query.ts';
import { runRefresh } from './run-refresh.ts';

/** POST /jobs/refresh-views. A failure is answered 503, and QStash retries. Running it again is harmless. */
export async function postRefreshViews(c: AppContext): Promise<Response> {
  await verifyQstash(c);
  readQuery(c, []);
  return c.json({ views: await runRefresh(c.get('services')) });
}
