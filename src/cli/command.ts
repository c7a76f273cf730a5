import type { ArgsDef, ParsedArgs } from 'citty';
import type { Progress } from './progress.ts';

/** What a command is given of the process it runs in. */
export interface Context {
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdout: NodeJS.WritableStream;
  progress: Progress;
  json: boolean;
  /** Aborted by Ctrl-C and SIGTERM. */
  signal: AbortSignal;
}

/** What a command has to say when it is done: as a document for `--json`, as text for people. `null`: it has written it itself. */
export interface Outcome {
  document: object;
  text: string;
  /** What it has to say is that something is wrong: exit code 1. */
  failed?: boolean;
}

export interface Command<A extends ArgsDef = ArgsDef> {
  name: string;
  description: string;
  args: A;
  examples: readonly string[];
  run(args: ParsedArgs<A>, context: Context): Promise<Outcome | null>;
}

/** Keeps the types of the arguments for `run` while commands of different arguments stand in one table. */
export function defineCommand<const A extends ArgsDef>(command: Command<A>): Command {
  return command as unknown as Command;
}

export const JSON_OPTION = {
  json: { type: 'boolean', description: 'Print one JSON document on stdout, also for an error' },
} as const satisfies ArgsDef;
