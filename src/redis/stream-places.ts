import type { StreamPlace, StreamPlaces } from '../live/live-stores.ts';
import type { RedisClient } from './client.ts';
import { ALL_STREAMS_KEY, principalStreamsKey, spaceStreamsKey, tenantStreamsKey } from './keys.ts';
import { readWord } from './log-reply.ts';
import { TAKE_STREAM } from './scripts.ts';

const OUTCOMES = ['taken', 'space_full', 'principal_full'] as const;

/** The places of open streams, in four sorted sets for each. @throws store_unavailable */
export function createStreamPlaces(redis: RedisClient): StreamPlaces {
  return {
    async take(place, leaseMs) {
      const { streamId, spaceMax, principalMax } = place;
      const limits = [leaseMs, spaceMax, principalMax].map(String);
      const reply = await redis.eval(TAKE_STREAM, keysOf(place), [streamId, ...limits]);
      return readWord(reply, OUTCOMES);
    },
    async release(place) {
      await redis.pipeline(keysOf(place).map((key) => ['ZREM', key, place.streamId] as const));
    },
  };
}

function keysOf({ tenantId, spaceId, principal }: StreamPlace): string[] {
  return [
    spaceStreamsKey({ tenantId, spaceId }),
    principalStreamsKey(tenantId, principal),
    ALL_STREAMS_KEY,
    tenantStreamsKey(tenantId),
  ];
}
