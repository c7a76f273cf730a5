import { type SQL, sql } from 'drizzle-orm';
import { type AnyPgColumn, bigint, check, customType, doublePrecision, timestamp } from 'drizzle-orm/pg-core';

/** Ids sort and compare by their bytes: keyset pages and index probes need no locale, and it is several times faster. */
const idText = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });

/** The bytes of a SHA-256, written and read as lower-case hexadecimal. */
export const hexBytes = customType<{ data: string; driverData: string }>({
  dataType: () => 'bytea',
  toDriver: (hex) => `\\x${hex}`,
  fromDriver: (value) =>
    typeof value === 'string' ? value.replace(/^\\x/, '') : Buffer.from(value).toString('hex'),
});

/** A number above what JavaScript keeps exact: here it is a text that nobody counts with. */
const opaqueNumber = customType<{ data: string }>({ dataType: () => 'bigint', fromDriver: String });

export const worldNumber = () => opaqueNumber('world').notNull();
export const id = (name: string) => idText(name);
export const tenantId = () => idText('tenant_id').notNull();
export const seqColumn = (name: string) => bigint(name, { mode: 'number' });
export const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
export const coordinate = (name: string) => doublePrecision(name);

export function idCheck(name: string, ...columns: AnyPgColumn[]) {
  return check(
    name,
    sql.join(
      // Not {1,128} in the pattern: counting in a regular expression takes Postgres 15 µs an id, this 0.7 µs.
      columns.map(
        (column): SQL =>
          sql`(${column} ~ '^[.]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$' and octet_length(${column}) <= 128)`,
      ),
      sql` and `,
    ),
  );
}

/** True for every double but NaN and the infinities: NaN sorts above infinity in Postgres. */
export function finiteCheck(name: string, ...columns: AnyPgColumn[]) {
  return check(
    name,
    sql.join(
      columns.map((column): SQL => sql`(${column} > '-Infinity' and ${column} < 'Infinity')`),
      sql` and `,
    ),
  );
}

/** An object of at most 64 KiB as Postgres prints it. */
export function propertiesCheck(name: string, column: AnyPgColumn) {
  return check(name, sql`jsonb_typeof(${column}) = 'object' and octet_length(${column}::text) <= 65536`);
}

export function lengthCheck(name: string, column: AnyPgColumn, lengthMax: number) {
  return check(name, sql`char_length(${column}) <= ${sql.raw(String(lengthMax))}`);
}
