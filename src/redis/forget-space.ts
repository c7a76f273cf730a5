import type { DeletedSpace } from '../jobs/upkeep-stores.ts';
import type { RedisClient } from './client.ts';
import {
  liveChannel,
  logKey,
  logMetaKey,
  metadataKey,
  noEffectsKey,
  presenceKeys,
  snapshotKey,
  snapshotRenewerKey,
  spaceMember,
  spaceStreamsKey,
  stateLoaderKey,
  worldStateKey,
} from './keys.ts';
import type { KnownLogs } from './known-logs.ts';
import { readCount } from './log-reply.ts';
import { FORGET_SPACE } from './scripts.ts';

/** @returns what removes the keys of a space that is deleted for good. One command; a repeat finds nothing. */
export function createForgetSpace(
  redis: RedisClient,
  known: Pick<KnownLogs, 'dirtyKey'>,
): (space: DeletedSpace) => Promise<void> {
  return async ({ incarnation, ...space }) => {
    const own = [logKey, snapshotKey, metadataKey, stateLoaderKey, snapshotRenewerKey].map((key) =>
      key(space, incarnation),
    );
    const shared = [
      ...presenceKeys(space),
      spaceStreamsKey(space),
      noEffectsKey(space),
      worldStateKey(space),
    ];
    const reply = await redis.eval(
      FORGET_SPACE,
      [logMetaKey(space), known.dirtyKey(space), ...own, ...shared],
      [incarnation, spaceMember(space), String(own.length), liveChannel(space, incarnation)],
    );
    readCount(reply);
  };
}
