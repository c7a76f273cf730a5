import type { LogAddress } from '../log/log-stores.ts';
import { isCommitted, type KeptRequest, readSpilledEntries } from '../log/spill-store.ts';
import { AppError, notFound } from '../world/errors.ts';
import { WorldView } from '../world/world-view.ts';
import { completeMetadata } from './complete-metadata.ts';
import type { StateOutcome, StateParts } from './state-parts.ts';

/**
 * The world of Postgres with the spilled requests above it, in their order. Its seq is that of Postgres: spilled writes have none yet.
 * @throws not_found; state_unsettled for a world that is too large to be folded
 */
export async function readWithSpilled(
  { loader, options }: Pick<StateParts, 'loader' | 'options'>,
  address: LogAddress,
  requests: readonly KeptRequest[],
  { isProvisional }: { isProvisional: boolean },
): Promise<StateOutcome> {
  const loaded = await loader.loadWorld(address, options.worldCharactersMax);
  if (loaded === null) throw notFound('this space');
  if (loaded === 'too_large') throw spilledUnsettled();
  const { seq, objects, avatars, chat, metadata } = loaded;
  const loadedMs = options.now();
  const view = new WorldView({ spaceId: address.spaceId, seq, loadedMs }, objects, avatars, chat);
  // Between its commit and its removal, a request is in Postgres twice.
  const waiting = requests.filter((request) => !isCommitted(request, seq));
  view.fold(readSpilledEntries(waiting, seq));
  await completeMetadata(loader, address, { view, metadata });
  const spilled = waiting.length;
  const mark = isProvisional || spilled > 0 ? { spilled } : {};
  return { status: 'state', view, metadata, durableSeq: seq, ageMs: 0, ...mark };
}

/** Of a read in a process that holds writes of the space in its memory. */
export function heldUnsettled(): AppError {
  return new AppError(
    'state_unsettled',
    'Some writes of this space are still in the memory of the server, because both stores were away. Retry later.',
    { retryAfterSeconds: 2 },
  );
}

/** Of the tag of a state while Redis is away. */
export function versionUnsettled(): AppError {
  return new AppError(
    'state_unsettled',
    'Redis is away, so nobody knows the newest version of this state. Retry later, or read the state without a condition.',
    { retryAfterSeconds: 5 },
  );
}

/** Of a read that cannot show spilled writes. */
export function spilledUnsettled(): AppError {
  return new AppError(
    'state_unsettled',
    'Some writes wait until Redis is back. Only a state as JSON of a world below 16 MiB shows them.',
    { retryAfterSeconds: 5 },
  );
}
