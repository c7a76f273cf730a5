type Cell = string | number | null;

/**
 * Rows as CSV (RFC 4180), with a header row. A null is an empty cell. A text that a spreadsheet would take for a formula gets an
 * apostrophe in front.
 */
export function writeCsv<Row extends object>(
  columns: readonly (keyof Row & string)[],
  rows: readonly Row[],
): string {
  const lines = [
    columns.map(writeCell),
    ...rows.map((row) => columns.map((name) => writeCell(row[name] as Cell))),
  ];
  return lines.map((cells) => `${cells.join(',')}\r\n`).join('');
}

function writeCell(value: Cell): string {
  if (typeof value !== 'string') return value === null ? '' : String(value);
  const harmless = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",;\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
