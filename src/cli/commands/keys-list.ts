import { Api, type ListedKey } from '../api.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';

export const keysListCommand = defineCommand({
  name: 'keys list',
  description: "Show the tenant's API keys, without their secrets; needs a key with admin",
  args: { ...JSON_OPTION },
  examples: ['keys list'],
  async run(_, context) {
    const keys = await new Api(resolveConnection(context), context.signal).listKeys();
    const rows = keys.map((key) => [key.id, key.scopes.join(','), key.createdAt, describeEnd(key)]);
    return { document: { keys }, text: layOut([['ID', 'SCOPES', 'MADE', 'ENDS'], ...rows]) };
  },
});

function describeEnd({ expiresAt, revokedAt }: ListedKey): string {
  if (revokedAt !== null) return `revoked ${revokedAt}`;
  if (expiresAt === null) return 'never';
  return Date.parse(expiresAt) <= Date.now() ? `expired ${expiresAt}` : expiresAt;
}

/** Columns as wide as what is in them. */
function layOut(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
