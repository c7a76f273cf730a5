import { readCursor, writeCursor } from '../world/cursor.ts';
import { AppError, notFound } from '../world/errors.ts';
import type { LogOperation, Operation } from '../world/operation.ts';
import { checkId, checkPageLimit } from '../world/schemas.ts';
import type { Page, Seq } from '../world/types.ts';
import type { AppendOptions, CommittedOperations, Queued } from './space-log.ts';
import type { WorldLog } from './world-log.ts';

/** An operation that Postgres could not keep: it removed itself and nothing else. */
export interface DeadLetter {
  id: string;
  spaceId: string;
  /** Its place in the space's order. */
  seq: Seq;
  actor: string | null;
  op: LogOperation;
  /** The error of Postgres: an SQLSTATE, and the constraint if there was one. */
  error: { code: string | null; constraint: string | null };
  createdAt: string;
  replayedAt: string | null;
}

/** The part of a database that DeadLetters needs. Every method is one transaction. */
export interface DeadLetterStore {
  /** Newest first, behind the one whose id is `before`. */
  listDeadLetters(
    tenantId: string,
    limit: number,
    before: string,
  ): Promise<{ letters: DeadLetter[]; more: boolean }>;
  /** `isOutlived`: its space was deleted, and another space has its name now. */
  loadDeadLetter(tenantId: string, id: string): Promise<{ letter: DeadLetter; isOutlived: boolean } | null>;
  /** @returns whether it was there. */
  discardDeadLetter(tenantId: string, id: string): Promise<boolean>;
  /** @returns whether this caller alone may send it again now; the claim ends by itself after `LIMITS.replayClaimSeconds`. */
  claimReplay(tenantId: string, id: string): Promise<boolean>;
  releaseReplay(tenantId: string, id: string): Promise<void>;
  markReplayed(tenantId: string, id: string): Promise<void>;
}

/** The rejected operations of a tenant: list them, replay them, or delete them. */
export class DeadLetters {
  readonly #store: DeadLetterStore;
  readonly #log: WorldLog;

  constructor(store: DeadLetterStore, log: WorldLog) {
    this.#store = store;
    this.#log = log;
  }

  async list(
    tenantId: string,
    page: { limit?: number | string | undefined; cursor?: string | undefined } = {},
  ): Promise<Page<DeadLetter>> {
    const limit = checkPageLimit(page.limit);
    const { letters, more } = await this.#store.listDeadLetters(tenantId, limit, readCursor(page.cursor));
    return { items: letters, nextCursor: more ? writeCursor(letters.at(-1)?.id ?? '') : null };
  }

  /**
   * Appends the operation once more, under the same conditions and the same author, and waits for what becomes of it. Where
   * it cannot be kept again, it is a dead letter again, under another id.
   * @throws not_found; conflict for one that was replayed before or is being replayed, is a whole world, or is of a space
   * that was deleted and made again since
   */
  async replay(
    tenantId: string,
    id: string,
    { defer, requestId }: { defer: AppendOptions['defer']; requestId?: string },
  ): Promise<Queued | CommittedOperations> {
    const loaded = await this.#store.loadDeadLetter(tenantId, checkId(id, '/id'));
    if (loaded === null) throw notFound('this dead letter');
    const { letter, isOutlived } = loaded;
    if (letter.replayedAt !== null) throw new AppError('conflict', 'This operation was sent again before.');
    const { op } = letter;
    if (op.op === 'stage') throw new AppError('conflict', 'A whole world is not kept here: save it again.');
    if (isOutlived)
      throw new AppError(
        'conflict',
        'The operation belongs to a space that was deleted. A new space has its name now.',
      );
    if (!(await this.#store.claimReplay(tenantId, id)))
      throw new AppError('conflict', 'Another request has sent this operation again, or is doing so now.');
    const outcome = await this.#append({ tenantId, requestId }, { ...letter, op }, defer).catch(
      async (error: unknown) => {
        // Where this fails too, the claim ends by itself.
        await this.#store.releaseReplay(tenantId, id).catch(() => undefined);
        throw error;
      },
    );
    await this.#store.markReplayed(tenantId, id);
    return outcome;
  }

  async #append(
    caller: { tenantId: string; requestId: string | undefined },
    { id, spaceId, actor, op }: Pick<DeadLetter, 'id' | 'spaceId' | 'actor'> & { op: Operation },
    defer: AppendOptions['defer'],
  ): Promise<Queued | CommittedOperations> {
    return this.#log.commit({ ...caller, spaceId, actor }, [op], {
      principal: 'replay',
      // After an unknown outcome it is sent under the same key.
      idempotency: { key: id, fingerprint: id },
      defer,
    });
  }

  async discard(tenantId: string, id: string): Promise<void> {
    if (!(await this.#store.discardDeadLetter(tenantId, checkId(id, '/id'))))
      throw notFound('this dead letter');
  }
}
