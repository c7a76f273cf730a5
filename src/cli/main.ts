import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { renderUsage } from 'citty';
import { PACKAGE_JSON } from '../helpers/package-files.ts';
import { readArguments } from './arguments.ts';
import type { Command, Context } from './command.ts';
import { cacheClearCommand } from './commands/cache-clear.ts';
import { doctorCommand } from './commands/doctor.ts';
import { drainCommand } from './commands/drain.ts';
import { eraseCommand } from './commands/erase.ts';
import { exportCommand } from './commands/export.ts';
import { exportUserCommand } from './commands/export-user.ts';
import { importCommand } from './commands/import.ts';
import { jobsRunCommand } from './commands/jobs-run.ts';
import { keysCreateCommand } from './commands/keys-create.ts';
import { keysListCommand } from './commands/keys-list.ts';
import { keysRevokeCommand } from './commands/keys-revoke.ts';
import { linkCommand } from './commands/link.ts';
import { migrateCommand } from './commands/migrate.ts';
import { schedulesApplyCommand } from './commands/schedules-apply.ts';
import { simulateCommand } from './commands/simulate.ts';
import { describeError, UsageError } from './errors.ts';
import { createProgress, type ProgressStream } from './progress.ts';

const PROGRAM = 'worldkeep';

/** Every command by the words that call it. */
const COMMANDS: readonly Command[] = [
  importCommand,
  exportCommand,
  keysCreateCommand,
  keysListCommand,
  keysRevokeCommand,
  linkCommand,
  exportUserCommand,
  eraseCommand,
  migrateCommand,
  schedulesApplyCommand,
  drainCommand,
  jobsRunCommand,
  cacheClearCommand,
  doctorCommand,
  simulateCommand,
];

export const EXIT = { done: 0, failed: 1, misused: 2 } as const;

/** The process as the command line needs it. */
export interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdout: ProgressStream;
  stderr: ProgressStream;
  /** Aborted by Ctrl-C and SIGTERM. */
  signal: AbortSignal;
  /** Asks a person at the terminal; absent: there is none. */
  confirm?: Context['confirm'];
}

/** Runs one command line. @returns the exit code: 0 done, 1 failed, 2 wrong use. */
export async function runCommandLine(args: readonly string[], around: Surroundings): Promise<number> {
  // Read before the arguments are: what is wrong with them is said as a document too.
  const json = args.includes('--json');
  const progress = createProgress(around.stderr, around.env);
  const found = findCommand(args);
  try {
    const asked = readHelpRequest(args, found);
    if (asked !== null) {
      around.stdout.write(await asked(colours(around.stdout, around.env)));
      return EXIT.done;
    }
    if (found === null) throw new UsageError(describeMissing(args));
    const { env, cwd, stdout, signal, confirm = null } = around;
    const context: Context = { env, cwd, stdout, signal, progress, json, confirm };
    const outcome = await found.command.run(readArguments(found.rest, found.command.args), context);
    if (outcome === null) return EXIT.done;
    stdout.write(`${json ? JSON.stringify(outcome.document) : outcome.text}\n`);
    return outcome.failed ? EXIT.failed : EXIT.done;
  } catch (error) {
    progress.stop();
    const document = describeError(error);
    around.stderr.write(`${PROGRAM}: ${document.error.message}\n`);
    if (error instanceof UsageError && error.showUsage)
      around.stderr.write(
        `\n${await renderHelp(found?.command ?? null, colours(around.stderr, around.env))}`,
      );
    if (document.error.code === 'internal' && error instanceof Error && around.env.DEBUG)
      around.stderr.write(`${error.stack}\n`);
    if (json) around.stdout.write(`${JSON.stringify(document)}\n`);
    return error instanceof UsageError ? EXIT.misused : EXIT.failed;
  }
}

interface Found {
  command: Command;
  rest: readonly string[];
}

function findCommand(args: readonly string[]): Found | null {
  for (const command of COMMANDS) {
    const words = command.name.split(' ');
    if (words.every((word, i) => args[i] === word)) return { command, rest: args.slice(words.length) };
  }
  return null;
}

type Help = (colour: boolean) => Promise<string>;

/** @returns what to print where help or the version is asked for, else null. */
function readHelpRequest(args: readonly string[], found: Found | null): Help | null {
  const [first] = args;
  if (first === 'help') {
    const about = findCommand(args.slice(1));
    if (args.length > 1 && about === null) throw new UsageError(describeMissing(args.slice(1)));
    return (colour) => renderHelp(about?.command ?? null, colour);
  }
  if (args.length === 1 && (first === '--version' || first === '-v')) return async () => `${readVersion()}\n`;
  const options = (found?.rest ?? args.slice(0, 1)).filter((arg) => arg === '--help' || arg === '-h');
  return options.length > 0 ? (colour) => renderHelp(found?.command ?? null, colour) : null;
}

function describeMissing(args: readonly string[]): string {
  const [first, second] = args;
  if (first === undefined) return 'no command given';
  const within = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  if (within.length === 0)
    return first.startsWith('-') ? `unknown option: ${first}` : `unknown command: ${first}`;
  const names = within.map(({ name }) => name).join(', ');
  return second === undefined
    ? `${first} needs a second word: ${names}`
    : `unknown command: ${first} ${second}`;
}

async function renderHelp(command: Command | null, colour: boolean): Promise<string> {
  const text = command === null ? await renderOverview() : await renderCommand(command);
  return `${colour ? text : stripVTControlCharacters(text)}\n`;
}

async function renderCommand({ name, description, args, examples }: Command): Promise<string> {
  const usage = await renderUsage({ meta: { name: `${PROGRAM} ${name}`, description }, args });
  return `${usage}\nEXAMPLES\n\n${examples.map((example) => `  ${PROGRAM} ${example}`).join('\n')}\n`;
}

async function renderOverview(): Promise<string> {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length), 'help [COMMAND]'.length);
  const rows = COMMANDS.map(({ name, description }) => `  ${name.padEnd(width)}  ${description}`);
  return [
    `${PROGRAM} ${readVersion()}: keeps 3D multi-user worlds`,
    '',
    `USAGE ${PROGRAM} <command> [OPTIONS]`,
    '',
    'COMMANDS',
    '',
    ...rows,
    `  ${'help [COMMAND]'.padEnd(width)}  What a command takes; also --help behind it`,
    '',
    'Talks to WORLDKEEP_URL with WORLDKEEP_API_KEY, else to the local stack that npm run dev has started.',
    'Exit codes: 0 done, 1 failed, 2 wrong use. --version prints the version.',
    '',
    'EXAMPLES',
    '',
    ...COMMANDS.flatMap(({ examples }) => examples.slice(0, 1)).map((example) => `  ${PROGRAM} ${example}`),
    '',
  ].join('\n');
}

function colours(stream: ProgressStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

function readVersion(): string {
  const text = readFileSync(PACKAGE_JSON, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
