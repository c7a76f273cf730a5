import { and, eq } from 'drizzle-orm';
import type { User } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { toTime } from '../rows.ts';
import { users } from '../schema/people.ts';

export const userColumns = {
  id: users.userId,
  displayName: users.displayName,
  avatarUrl: users.avatarUrl,
  properties: users.properties,
  createdAt: users.createdAt,
  lastSeenAt: users.lastSeenAt,
};

export function toUser(row: User): User {
  return { ...row, createdAt: toTime(row.createdAt), lastSeenAt: row.lastSeenAt && toTime(row.lastSeenAt) };
}

export async function loadUser(postgres: Postgres, tenantId: string, userId: string): Promise<User | null> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select(userColumns)
      .from(users)
      .where(and(eq(users.tenantId, tenantId), eq(users.userId, userId))),
  ]);
  return rows[0] === undefined ? null : toUser(rows[0]);
}
