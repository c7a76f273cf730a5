import pg from 'pg';

export const DATABASE_NAME = 'worldkeep';
/** Owns the database and runs the migrations. As on Neon it is no superuser, and bypasses row security. */
export const OWNER_ROLE = 'worldkeep_owner';
/** The role of the Worker; a migration creates it. */
export const APP_ROLE = 'worldkeep_app';

/** Makes the owner's role and the database where they are not there, and sets the role's password. */
export async function prepareDatabase(superuserUrl: string, ownerPassword: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role,
              EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database`,
      [OWNER_ROLE, DATABASE_NAME],
    );
    const verb = rows[0]?.role ? 'ALTER' : 'CREATE';
    await client.query(
      `${verb} ROLE ${OWNER_ROLE} LOGIN CREATEROLE CREATEDB BYPASSRLS PASSWORD ${client.escapeLiteral(ownerPassword)}`,
    );
    if (!rows[0]?.database) await client.query(`CREATE DATABASE ${DATABASE_NAME} OWNER ${OWNER_ROLE}`);
  } finally {
    await client.end();
  }
}

/** `postgresql://ROLE:PASSWORD@127.0.0.1:PORT/worldkeep` */
export function buildDatabaseUrl(role: string, password: string, port: number): string {
  return `postgresql://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${DATABASE_NAME}`;
}
