import { LIMITS } from '../../src/world/limits.ts';
import type { AppContext } from '../http/context.ts';
import { verifyQstash } from '../http/qstash-signature.ts';
import { readQuery } from '../http/query.ts';

/** POST /jobs/cleanup. A failure is answered 503, and QStash retries. Running it again is harmless. */
export async function postCleanup(c: AppContext): Promise<Response> {
  await verifyQstash(c);
  readQuery(c, []);
  const objects = await c.get('services').assets.sweep({ objectsMax: LIMITS.assetSweepMax });
  return c.json({ objects });
}
