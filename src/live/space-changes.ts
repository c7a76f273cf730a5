import type { DrainStore, LogAddress, RawEntry, ReaderAhead } from '../log/log-stores.ts';
import type { NoteAhead } from '../log/readers-ahead.ts';
import { replacesWorld } from '../world/change.ts';
import { AppError, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { checkId, checkPageLimit } from '../world/schemas.ts';
import type { Seq } from '../world/types.ts';
import type { ChangesStore, ReadChangesRequest } from './live-stores.ts';

/** A piece of a space's log. */
export interface LogPiece {
  incarnation: string;
  /** Where the log ends. */
  last: Seq;
  /** Postgres has committed the log up to this seq. */
  committed: Seq;
  entries: RawEntry[];
  /** Redis knows the log; else there is none to read, and where it ends is what Postgres says. */
  isKnown: boolean;
}

export interface ChangesPage {
  /** `ops` is JSON text, as it was appended. */
  changes: { seq: Seq; actor: string | null; ops: string }[];
  /** Where the log ends. */
  head: Seq;
}

/** The changes of a space since a seq, for clients that poll. */
export class SpaceChanges {
  readonly #redis: ChangesStore;
  readonly #postgres: Pick<DrainStore, 'loadCursor'>;
  readonly #noteAhead: NoteAhead;

  /** @param noteAhead told of readers that have seen more than the log has */
  constructor(
    redis: ChangesStore,
    postgres: Pick<DrainStore, 'loadCursor'>,
    noteAhead: NoteAhead = async () => undefined,
  ) {
    this.#redis = redis;
    this.#postgres = postgres;
    this.#noteAhead = noteAhead;
  }

  /**
   * The entries behind `since`, oldest first; none where it is not given.
   * @throws trimmed where what came behind it cannot be told: it is older than the log, the world was replaced, or no seq of
   * this log. not_found.
   */
  async list(
    address: LogAddress,
    { since, limit }: { since: Seq | null; limit?: string | undefined },
  ): Promise<ChangesPage> {
    const entriesMax = checkPageLimit(limit);
    const piece = await this.read(address, { after: since, bytesMax: LIMITS.changesBytesMax, entriesMax });
    const { last: head, incarnation } = piece;
    if (since === null) return { changes: [], head };
    if (since > head) await this.noteAhead(address, { incarnation, seen: since, last: head, next: null });
    const replacement = piece.entries.findIndex(({ ops }) => replacesWorld(ops));
    const entries = replacement < 0 ? piece.entries : piece.entries.slice(0, replacement);
    const [first] = piece.entries;
    const isTrimmed = first === undefined ? head !== since : first.prev > since || entries.length === 0;
    // Entries that are missing in the middle are lost: later entries belong to another world.
    const isTorn = entries.some(({ prev }, i) => i > 0 && prev !== entries[i - 1]?.seq);
    if (isTrimmed || isTorn)
      throw new AppError(
        'trimmed',
        `The log does not have all that came behind ${since}: load the state, and go on from its seq.`,
      );
    return { changes: entries.map(({ seq, actor, ops }) => ({ seq, actor, ops })), head };
  }

  /** A piece of the log; where Redis knows nothing of the space, its end as Postgres has it. @throws not_found */
  async read(address: LogAddress, request: ReadChangesRequest): Promise<LogPiece> {
    checkId(address.spaceId, '/space');
    const outcome = await this.#redis.readChanges(address, request);
    if (outcome.status === 'read') return { ...outcome, isKnown: true };
    const known = await this.#postgres.loadCursor(address);
    if (known === null) throw notFound('this space');
    const { incarnation, cursor: last } = known;
    if (outcome.status === 'deleted' && outcome.incarnation === incarnation) throw notFound('this space');
    return { incarnation, last, committed: last, entries: [], isKnown: false };
  }

  /** A reader has seen more than the log has. Never rejects. */
  async noteAhead(address: LogAddress, ahead: ReaderAhead): Promise<void> {
    await this.#noteAhead(address, ahead);
  }
}
