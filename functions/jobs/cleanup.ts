import { LIMITS } from '../../src/world/limits.ts';
import type { AppContext } from '../http/context.ts';
import { verifyQstash } from '../http/qstash-signature.ts';
import { readQuery } from '../http/query.ts';
import { runCleanup } from './run-cleanup.ts';

/**
 * POST /jobs/cleanup. A failure of one step is answered 503 after the others ran, and QStash retries. Running it again is harmless. If time
 * runs out, the next call goes on.
 */
export async function postCleanup(c: AppContext): Promise<Response> {
  await verifyQstash(c);
  readQuery(c, []);
  const { counts, left, failure } = await runCleanup(c.get('services'), {
    batchesMax: LIMITS.cleanupBatchesMax,
  });
  if (failure !== undefined) throw failure;
  return c.json({ counts, left });
}
