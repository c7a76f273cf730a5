import { sql } from 'drizzle-orm';
import type { User, UserInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { toTime } from '../rows.ts';
import { users } from '../schema/people.ts';

/** Makes the person known, or gives them what is new; either way they have just been seen. */
export async function upsertUser(
  postgres: Postgres,
  tenantId: string,
  { id, displayName, avatarUrl, properties }: UserInput,
): Promise<User> {
  const values = { displayName, avatarUrl, properties, lastSeenAt: sql`now()` };
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .insert(users)
      .values({ tenantId, userId: id, ...values })
      .onConflictDoUpdate({ target: [users.tenantId, users.userId], set: values })
      .returning({ createdAt: users.createdAt, lastSeenAt: users.lastSeenAt }),
  ]);
  const { createdAt, lastSeenAt } = rows[0] as (typeof rows)[0];
  return {
    id,
    displayName,
    avatarUrl,
    properties,
    createdAt: toTime(createdAt),
    lastSeenAt: lastSeenAt && toTime(lastSeenAt),
  };
}
