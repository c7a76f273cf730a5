import type { DeadOperation } from '../world/batch.ts';
import { encodeEntries } from '../world/check-operations.ts';
import { correctOperations } from '../world/correct.ts';
import { AppError } from '../world/errors.ts';
import type { Operation } from '../world/operation.ts';
import type { Seq } from '../world/types.ts';
import type { AppendRequest, DrainStore, LogAddress, LogStore } from './log-stores.ts';

/** The author of what puts a dead operation right. */
const CORRECTION_ACTOR = 'worldkeep';
/** Dead operations that one append corrects: the object of each may have 64 KiB of properties. */
const CORRECTED_AT_ONCE_MAX = 50;

/** Limits do not apply to entries that the drain itself appends. */
export const UNCOUNTED = {
  waits: false,
  idempotency: null,
  budget: null,
  backlog: { bytesMax: 2 ** 52, entriesMax: 2 ** 52, ageMsMax: 2 ** 52 },
} satisfies Partial<AppendRequest>;

/**
 * Readers of the log have seen operations that Postgres could not store. This appends the objects as Postgres has them. It appends
 * only if the log ends at the cursor of Postgres: otherwise it would undo a newer write. Appending twice is harmless. Corrected
 * operations leave the list.
 * @param cursor where Postgres is, and the log was when it was last read
 * @returns whether there is more to drain now: the correction, or an entry that must be drained before it
 * @throws store_unavailable
 */
export async function appendCorrections(
  { redis, postgres }: { redis: LogStore; postgres: DrainStore },
  address: LogAddress,
  cursor: Seq,
  dead: DeadOperation[],
): Promise<boolean> {
  while (dead.length > 0) {
    const letters = dead.slice(0, CORRECTED_AT_ONCE_MAX);
    const operations = await loadCorrections(postgres, address, letters);
    let isAppended = false;
    if (operations.length > 0) {
      const { status } = await redis.append(address, {
        ...UNCOUNTED,
        actor: CORRECTION_ACTOR,
        opened: null,
        entries: encodeEntries(operations),
        endsAt: cursor,
      });
      if (status === 'ahead') return true;
      // Without the log there are no readers of it who saw anything.
      if (status !== 'appended' && status !== 'cold' && status !== 'deleted')
        throw new AppError('store_unavailable', 'The log does not take a correction now.');
      isAppended = status === 'appended';
    }
    const ids = letters.map(({ deadLetterId }) => deadLetterId);
    await postgres.markCorrected(address, ids);
    dead.splice(0, letters.length);
    if (isAppended) return true;
  }
  return false;
}

async function loadCorrections(
  postgres: DrainStore,
  address: LogAddress,
  dead: readonly DeadOperation[],
): Promise<Operation[]> {
  const idsOf = (kind: DeadOperation['kind']) => [
    ...new Set(dead.flatMap((letter) => (letter.kind === kind ? [letter.id] : []))),
  ];
  const [objectIds, userIds] = [idsOf('object'), idsOf('avatar')];
  const [objects, avatars] = await Promise.all([
    objectIds.length === 0 ? [] : postgres.loadObjects(address, objectIds),
    userIds.length === 0 ? [] : postgres.loadAvatars(address, userIds),
  ]);
  return correctOperations({ dead, objects, avatars });
}
