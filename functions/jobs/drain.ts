import type * as z from 'zod';
import { misconfigured } from '../../src/config.ts';
import { AppError } from '../../src/world/errors.ts';
import { parseJsonBytes } from '../../src/world/json-text.ts';
import { LIMITS } from '../../src/world/limits.ts';
import { check } from '../../src/world/schemas.ts';
import type { AppContext } from '../http/context.ts';
import { describeError } from '../http/describe-error.ts';
import { HttpError } from '../http/problem.ts';
import { SIGNATURE_HELD_SECONDS, verifyQstash } from '../http/qstash-signature.ts';
import { readQuery } from '../http/query.ts';
import { drainAllInput, drainSpaceInput } from './drain-schemas.ts';

/**
 * POST /jobs/drain. A failure is answered 503, and QStash retries. An invalid body is answered 489, and QStash does not retry. A repeated
 * delivery of a finished job drains nothing, although draining again would be harmless.
 */
export async function postDrain(c: AppContext): Promise<Response> {
  const delivery = await verifyQstash(c);
  readQuery(c, []);
  const space = readSpace(delivery.body);
  const { drains, finishedJobs, log, jobRuns, events } = c.get('services');
  if (!drains || finishedJobs === null)
    throw misconfigured('UPSTASH_REDIS_REST_URL', 'or REDIS_HOST must be set because the log needs Redis.');
  if (await finishedJobs.isFinished(delivery.id)) return c.json({ status: 'already_done' });
  const budget = { budgetMs: LIMITS.drainMsMax };
  const sweep = async () => {
    // Worlds come first. Events do not wait for worlds that cannot be drained.
    const [worlds] = await Promise.allSettled([drains.sweep(budget)]);
    const { stored } = await events.drain(budget);
    if (worlds.status === 'rejected') throw worlds.reason;
    return { counts: { ...worlds.value, events: stored } };
  };
  const onRunNotNoted = (cause: unknown) =>
    log('warn', 'job_run_not_noted', { causes: describeError(cause) });
  const report = await (space === null
    ? jobRuns.runOften('drain', sweep, onRunNotNoted).then(({ counts }) => counts)
    : drains.drainSpace(space, budget));
  await finishedJobs.markFinished(delivery.id, SIGNATURE_HELD_SECONDS).catch((cause: unknown) => {
    // It is done all the same; should the delivery come again, so is the drain.
    log('warn', 'job_not_marked', { causes: describeError(cause) });
  });
  return c.json(report);
}

/** @returns the one space, or null for all that have something to drain. @throws job_refused */
function readSpace(body: Uint8Array): z.infer<typeof drainSpaceInput> | null {
  if (body.length === 0) return null;
  try {
    const job = parseJsonBytes(body);
    return drainAllInput.safeParse(job).success ? null : check(drainSpaceInput, job);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new HttpError(
      'job_refused',
      'Send {"tenantId", "spaceId"} to drain one space, or {} to drain all spaces.',
      {
        'Upstash-NonRetryable-Error': 'true',
      },
    );
  }
}
