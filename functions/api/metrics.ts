import { EXPOSITION_TYPE } from '../../src/metrics/exposition.ts';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from '../http/context.ts';
import { readQuery } from '../http/query.ts';

/** GET /metrics: the counts of the whole deployment. A wrong token asks no store. */
export async function getMetrics(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { config, readMetrics } = c.get('services');
  if (config.metricsToken === null || readMetrics === null)
    throw new AppError('not_found', 'This server has no METRICS_TOKEN, so it shows no metrics.');
  const given = /^Bearer +(\S+)$/i.exec(c.req.header('Authorization') ?? '')?.[1] ?? '';
  if (!(await isSame(given, config.metricsToken)))
    throw new AppError(
      'unauthorized',
      'Send the value of METRICS_TOKEN in the header "Authorization: Bearer <token>".',
    );
  return c.body(await readMetrics(), 200, { 'Content-Type': EXPOSITION_TYPE });
}

/** Compares hashes, so that the time tells nothing of the token. */
async function isSame(given: string, token: string): Promise<boolean> {
  const [a, b] = await Promise.all([given, token].map(hash));
  let difference = 0;
  for (const [i, byte] of (a ?? []).entries()) difference |= byte ^ (b?.[i] ?? 0);
  return difference === 0;
}

async function hash(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}
