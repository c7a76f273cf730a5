import type { ChangesOutcome, ReadChangesRequest } from '../live/live-stores.ts';
import type { LogAddress, RawEntry } from '../log/log-stores.ts';
import type { Seq } from '../world/types.ts';
import { logKey, logMetaKey } from './keys.ts';
import type { LogContext } from './log-context.ts';
import { readEntry } from './log-drain.ts';
import { checkLength, readCount, readList, readText, readWord } from './log-reply.ts';
import { READ_CHANGES } from './scripts.ts';

const STATUSES = ['read', 'cold', 'deleted', 'moved', 'unverified'] as const;

/** @throws store_unavailable */
export async function readChanges(
  { redis, known }: Pick<LogContext, 'redis' | 'known'>,
  address: LogAddress,
  { after, bytesMax, entriesMax, seen }: ReadChangesRequest,
): Promise<ChangesOutcome> {
  return known.call<ChangesOutcome>(address, undefined, ({ incarnation, isUnchecked }) =>
    known.readWhole(address, incarnation, () => read(incarnation, isUnchecked), toSeen(seen, incarnation)),
  );

  async function read(
    incarnation: string,
    isUnchecked: boolean,
  ): Promise<(ChangesOutcome | { movedTo: string } | { isUnverified: true }) & { last?: Seq }> {
    const reply = await redis.eval(
      READ_CHANGES,
      [logMetaKey(address), logKey(address, incarnation)],
      [incarnation, after === null ? '' : String(after), String(bytesMax), String(entriesMax)].concat(
        isUnchecked ? '1' : '0',
      ),
    );
    const list = readList(reply);
    const status = readWord(list[0], STATUSES);
    switch (status) {
      case 'moved':
        checkLength(list, 2);
        return { movedTo: readText(list[1]) };
      case 'unverified':
        checkLength(list, 1);
        return { isUnverified: true };
      case 'deleted':
        checkLength(list, 2);
        return { status, incarnation: readText(list[1]) };
      case 'cold':
        checkLength(list, 1);
        return { status };
      case 'read': {
        const entries: RawEntry[] = [];
        for (let i = 3; i < list.length; i += 2) entries.push(readEntry(list[i], list[i + 1]));
        return { status, incarnation, last: readCount(list[1]), committed: readCount(list[2]), entries };
      }
    }
  }
}

function toSeen(seen: ReadChangesRequest['seen'], incarnation: string): Seq {
  return seen?.incarnation === incarnation ? seen.seq : 0;
}
