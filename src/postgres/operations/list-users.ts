import { sql } from 'drizzle-orm';
import { LIMITS } from '../../world/limits.ts';
import type { User } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { toUser } from './load-user.ts';

/** Bytes of one page of people on its way from the database, whose answers end at 10 MiB. */
const PAGE_BYTES_MAX = 6 * 1024 * 1024;

/**
 * A page of people, sorted by id. It looks at `LIMITS.searchedPeopleMax` people at most, so a page may be empty before the last one.
 * @param after the id before the page, `''` for the first
 * @param search `''`: all people
 * @returns next: the id behind which the next page begins; null: there is nobody left
 */
export async function listUsers(
  postgres: Postgres,
  tenantId: string,
  { after, search, limit }: { after: string; search: string; limit: number },
): Promise<{ users: User[]; next: string | null }> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ people: sql<User[]>`people`, next: sql<string | null>`next` })
        .from(
          sql`list_people(${after}, ${search}, ${limit}::integer, ${LIMITS.searchedPeopleMax}::integer, ${PAGE_BYTES_MAX}::bigint)`,
        ),
    ],
    'snapshot',
  );
  return { users: (row?.people ?? []).map(toUser), next: row?.next ?? null };
}
