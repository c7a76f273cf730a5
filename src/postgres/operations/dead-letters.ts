import { and, asc, desc, eq, isNull, lt, or, sql } from 'drizzle-orm';
import type { DeadLetter } from '../../log/dead-letters.ts';
import type { LogAddress } from '../../log/log-stores.ts';
import type { DeadOperation } from '../../world/batch.ts';
import { LIMITS } from '../../world/limits.ts';
import type { LogOperation } from '../../world/operation.ts';
import { toTexts } from '../array-literal.ts';
import type { Postgres } from '../client.ts';
import { toTime } from '../rows.ts';
import { deadLetters } from '../schema/log.ts';

const letterColumns = {
  id: deadLetters.deadLetterId,
  spaceId: deadLetters.spaceId,
  seq: deadLetters.seq,
  actor: deadLetters.actor,
  op: sql<LogOperation>`${deadLetters.op}`,
  code: deadLetters.sqlState,
  constraint: deadLetters.constraintName,
  createdAt: deadLetters.createdAt,
  replayedAt: deadLetters.replayedAt,
};

type LetterRow = Omit<DeadLetter, 'error'> & DeadLetter['error'];

function toLetter({ code, constraint, createdAt, replayedAt, ...row }: LetterRow): DeadLetter {
  return {
    ...row,
    error: { code, constraint },
    createdAt: toTime(createdAt),
    replayedAt: replayedAt && toTime(replayedAt),
  };
}

function isLetter(tenantId: string, id: string) {
  return and(eq(deadLetters.tenantId, tenantId), eq(deadLetters.deadLetterId, id));
}

/** Whether the space is still the one of the letter, and not a new one with the same name. */
const isOfThisIncarnation = sql<boolean>`exists (
  select from spaces s
  where s.tenant_id = dead_letters.tenant_id and s.space_id = dead_letters.space_id
    and s.incarnation = dead_letters.incarnation)`;

/** Letters of one page at most: an operation may have 64 KiB, twice that on its way, and the database answers 10 MiB. */
const LETTERS_MAX = 50;

/** A page of a tenant's, newest first. @param before the id that the page before ended with, `''` for the first. */
export async function listDeadLetters(
  postgres: Postgres,
  tenantId: string,
  limit: number,
  before: string,
): Promise<{ letters: DeadLetter[]; more: boolean }> {
  const rowsMax = Math.min(limit, LETTERS_MAX);
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select(letterColumns)
        .from(deadLetters)
        .where(
          and(
            eq(deadLetters.tenantId, tenantId),
            before === '' ? undefined : lt(deadLetters.deadLetterId, before),
          ),
        )
        .orderBy(desc(deadLetters.deadLetterId))
        .limit(rowsMax + 1),
    ],
    'snapshot',
  );
  return { letters: rows.slice(0, rowsMax).map(toLetter), more: rows.length > rowsMax };
}

export async function loadDeadLetter(
  postgres: Postgres,
  tenantId: string,
  id: string,
): Promise<{ letter: DeadLetter; isOutlived: boolean } | null> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ ...letterColumns, isOfThisIncarnation })
        .from(deadLetters)
        .where(isLetter(tenantId, id)),
    ],
    'snapshot',
  );
  if (row === undefined) return null;
  const { isOfThisIncarnation: isOfThis, ...letter } = row;
  return { letter: toLetter(letter), isOutlived: !isOfThis };
}

/** @returns whether it was there. */
export async function discardDeadLetter(postgres: Postgres, tenantId: string, id: string): Promise<boolean> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db.delete(deadLetters).where(isLetter(tenantId, id)).returning({ id: deadLetters.deadLetterId }),
  ]);
  return rows.length > 0;
}

/**
 * Lets this caller alone send the operation again, for `LIMITS.replayClaimSeconds`.
 * @returns false where it was sent again before, or another caller is at it.
 */
export async function claimReplay(postgres: Postgres, tenantId: string, id: string): Promise<boolean> {
  const { replayedAt, replayClaimedAt, deadLetterId } = deadLetters;
  const expired = sql`${replayClaimedAt} < now() - make_interval(secs => ${LIMITS.replayClaimSeconds}::integer)`;
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .update(deadLetters)
      .set({ replayClaimedAt: sql`now()` })
      .where(and(isLetter(tenantId, id), isNull(replayedAt), or(isNull(replayClaimedAt), expired)))
      .returning({ id: deadLetterId }),
  ]);
  return rows.length > 0;
}

/** Another caller may send the operation again: it is not known to have been. */
export async function releaseReplay(postgres: Postgres, tenantId: string, id: string): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db.update(deadLetters).set({ replayClaimedAt: null }).where(isLetter(tenantId, id)),
  ]);
}

/** Notes that its operation was sent once more. */
export async function markReplayed(postgres: Postgres, tenantId: string, id: string): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db.update(deadLetters).set({ replayedAt: sql`now()` }).where(isLetter(tenantId, id)),
  ]);
}

/** The oldest letters of a space without a correction in its log. Letters of an older space with the same name are gone. */
export async function listUncorrected(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  limit: number,
): Promise<DeadOperation[]> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          deadLetterId: deadLetters.deadLetterId,
          seq: deadLetters.seq,
          index: deadLetters.index,
          kind: deadLetters.kind,
          id: deadLetters.targetId,
          propertyKeys: sql<
            string[]
          >`case when ${deadLetters.kind} = 'avatar' then property_keys(${deadLetters.op}) else '[]' end`,
        })
        .from(deadLetters)
        .where(
          and(
            eq(deadLetters.tenantId, tenantId),
            eq(deadLetters.spaceId, spaceId),
            isNull(deadLetters.correctedAt),
            isOfThisIncarnation,
          ),
        )
        .orderBy(asc(deadLetters.seq), asc(deadLetters.index))
        .limit(limit),
    ],
    'snapshot',
  );
  return rows;
}

export async function markCorrected(
  postgres: Postgres,
  { tenantId }: LogAddress,
  deadLetterIds: readonly string[],
): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db
      .update(deadLetters)
      .set({ correctedAt: sql`now()` })
      .where(
        and(
          eq(deadLetters.tenantId, tenantId),
          sql`${deadLetters.deadLetterId} = any(${toTexts(deadLetterIds)}::text[])`,
        ),
      ),
  ]);
}
