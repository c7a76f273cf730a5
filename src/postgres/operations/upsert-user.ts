import { and, eq, type SQL, sql } from 'drizzle-orm';
import type { User, UserInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { users } from '../schema/people.ts';
import { toUser, userColumns } from './load-user.ts';

/** Makes the person known, or gives them what is new; either way they have just been seen. */
export async function upsertUser(
  postgres: Postgres,
  tenantId: string,
  input: UserInput,
): Promise<{ user: User; created: boolean }> {
  const values = toValues(input);
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .insert(users)
      .values({ tenantId, userId: input.id, ...values })
      .onConflictDoUpdate({ target: [users.tenantId, users.userId], set: values })
      // A row that was there is locked by its update, one just made is not.
      .returning({ ...userColumns, created: sql<boolean>`(xmax = 0)` }),
  ]);
  const { created, ...row } = rows[0] as (typeof rows)[0];
  return { user: toUser(row), created };
}

/** Gives a person what is new. @returns null where they are not known. */
export async function updateUser(
  postgres: Postgres,
  tenantId: string,
  input: UserInput,
): Promise<User | null> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .update(users)
      .set(toValues(input))
      .where(and(eq(users.tenantId, tenantId), eq(users.userId, input.id)))
      .returning(userColumns),
  ]);
  return rows[0] === undefined ? null : toUser(rows[0]);
}

function toValues({
  displayName,
  avatarUrl,
  properties,
}: UserInput): Omit<UserInput, 'id'> & { lastSeenAt: SQL } {
  return { displayName, avatarUrl, properties, lastSeenAt: sql`now()` };
}
