import type { ArgsDef, ParsedArgs } from 'citty';
import type { Progress } from './progress.ts';

/** The parts of the process that a command uses. */
export interface Context {
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdout: NodeJS.WritableStream;
  progress: Progress;
  json: boolean;
  /** Aborted by Ctrl-C and SIGTERM. */
  signal: AbortSignal;
  /** Asks a person at the terminal; null: there is none. */
  confirm: ((question: string) => Promise<boolean>) | null;
}

/** The result of a command: a document for `--json`, and text for people. `null`: the command has written it itself. */
export interface Outcome {
  document: object;
  text: string;
  /** The result reports a problem: exit code 1. */
  failed?: boolean;
}

export interface Command<A extends ArgsDef = ArgsDef> {
  name: string;
  description: string;
  args: A;
  examples: readonly string[];
  run(args: ParsedArgs<A>, context: Context): Promise<Outcome | null>;
}

/** Keeps the argument types for `run` in a table of commands with different arguments. */
export function defineCommand<const A extends ArgsDef>(command: Command<A>): Command {
  return command as unknown as Command;
}

export const JSON_OPTION = {
  json: { type: 'boolean', description: 'Print one JSON document on stdout, also for an error' },
} as const satisfies ArgsDef;
