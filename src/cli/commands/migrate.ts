import { fileURLToPath } from 'node:url';
import { countOf } from '../../helpers/counts.ts';
import { MIGRATIONS } from '../../helpers/package-files.ts';
import { readFacts } from '../../postgres/errors.ts';
import { explainRefusal } from '../../postgres/refusals.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { CommandError, UsageError } from '../errors.ts';

export const migrateCommand = defineCommand({
  name: 'migrate',
  description: 'Bring the database of DATABASE_MIGRATION_URL to the newest schema; twice is the same as once',
  args: { ...JSON_OPTION },
  examples: ['migrate'],
  async run(_, { env, progress }) {
    const migrationUrl = readUrl(env, 'DATABASE_MIGRATION_URL');
    const appUrl = readUrl(env, 'DATABASE_URL');
    if (migrationUrl === undefined)
      throw new UsageError(
        "set DATABASE_MIGRATION_URL to the database's address as its owner (postgresql://owner:password@host/database)",
        { showUsage: false },
      );
    // Loaded here: no other command needs the migrator.
    const { migrate } = await import('../../../drizzle/migrate.ts');
    const log = (line: string) => progress.note(line);
    try {
      const applied = await migrate({
        migrationUrl,
        appUrl,
        log,
        migrationsFolder: fileURLToPath(MIGRATIONS),
      });
      const text = applied === 0 ? 'the schema is the newest' : `applied ${countOf(applied, 'migration')}`;
      return { document: { applied }, text };
    } catch (error) {
      throw new CommandError('migration_failed', `nothing was migrated: ${explain(error)}`, {}, error);
    }
  },
});

/** The driver's words for a connection that was taken and then ended, or led to nothing. */
const CUT_OFF = /timeout expired|Connection terminated/;

/** Names the variable of a connection that was refused. About a statement, Postgres's own words say most. */
function explain(error: unknown): string {
  const facts = readFacts(error);
  const variable = 'DATABASE_MIGRATION_URL';
  const refusal = explainRefusal(facts, { url: variable, address: variable });
  if (refusal !== null && !facts.sqlState?.startsWith('42')) return `${refusal.cause} ${refusal.remedy}`;
  if (facts.sqlState === undefined && CUT_OFF.test(facts.words))
    return `the host and port in ${variable} ended the connection or did not answer. Check that Postgres listens there.`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

/** An empty value is the same as none. @throws UsageError without the URL: it holds a password. */
function readUrl(
  env: NodeJS.ProcessEnv,
  name: 'DATABASE_MIGRATION_URL' | 'DATABASE_URL',
): string | undefined {
  const url = env[name] || undefined;
  if (url === undefined || /^postgres(ql)?:$/.test(URL.parse(url)?.protocol ?? '')) return url;
  throw new UsageError(`${name} must be an address like postgresql://user:password@host/database`, {
    showUsage: false,
  });
}
