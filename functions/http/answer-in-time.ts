import { createMiddleware } from 'hono/factory';
import { startTimer } from '../../src/helpers/time.ts';
import { AppError } from '../../src/world/errors.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { AppEnv } from './context.ts';
import { readDefer } from './defer.ts';

/**
 * Answers 503 if the route has no answer after `LIMITS.answerMsMax`. The time in which it reads the body does not count. The work continues,
 * because another part of it may still be missing: an append is followed by its drain.
 */
export function answerInTime() {
  return createMiddleware<AppEnv>(async function answersInTime(c, next) {
    const late = Promise.withResolvers<'late'>();
    let isOver = false;
    let leftMs: number = LIMITS.answerMsMax;
    const start = () => {
      if (isOver) return () => {};
      const beganMs = Date.now();
      const end = startTimer(leftMs, () => late.resolve('late'));
      return () => {
        end();
        leftMs = Math.max(0, leftMs - (Date.now() - beganMs));
      };
    };
    let stop = start();
    c.set('whileReading', async (reading) => {
      stop();
      try {
        return await reading;
      } finally {
        stop = start();
      }
    });
    const work = next();
    try {
      if ((await Promise.race([work, late.promise])) !== 'late') return;
    } finally {
      isOver = true;
      stop();
    }
    readDefer(c)(work);
    throw new AppError(
      'store_unavailable',
      'A store did not answer in time. Whether a write was done is not known.',
      { retryAfterSeconds: 2 },
    );
  });
}
