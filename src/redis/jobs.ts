import type { RedisClient } from './client.ts';
import { finishedJobKey } from './keys.ts';

/** Remembers in Redis the deliveries whose job is done; each method is one command. */
export function createFinishedJobs(redis: RedisClient) {
  return {
    isFinished: async (deliveryId: string): Promise<boolean> =>
      (await redis.command('EXISTS', finishedJobKey(deliveryId))) === 1,
    async markFinished(deliveryId: string, ttlSeconds: number): Promise<void> {
      await redis.command('SET', finishedJobKey(deliveryId), '1', 'EX', String(ttlSeconds));
    },
  };
}
