import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MIGRATIONS } from '../../helpers/package-files.ts';

export interface JournalEntry {
  tag: string;
  when: number;
  /** SHA-256 of the text of a migration, as the database stores it. */
  hash: string;
}

/** The migrations that this program comes with, in their order. */
export async function readJournal(): Promise<JournalEntry[]> {
  const journal = JSON.parse(await readFile(new URL('meta/_journal.json', MIGRATIONS), 'utf8')) as {
    entries: { tag: string; when: number }[];
  };
  return Promise.all(
    journal.entries.map(async ({ tag, when }) => {
      const text = await readFile(new URL(`${tag}.sql`, MIGRATIONS));
      return { tag, when, hash: createHash('sha256').update(text).digest('hex') };
    }),
  );
}
