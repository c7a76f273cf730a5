import type { AppContext } from '../http/context.ts';
import { verifyQstash } from '../http/qstash-signature.ts';
import { readQuery } from '../http/query.ts';
import { runSealAudit } from './run-seal-audit.ts';

/** POST /jobs/seal-audit. A failure is answered 503, and QStash retries. Running it again is harmless. */
export async function postSealAudit(c: AppContext): Promise<Response> {
  await verifyQstash(c);
  readQuery(c, []);
  const { status, counts, waitingSeconds } = await runSealAudit(c.get('services'));
  return c.json({ status, ...counts, waitingSeconds });
}
