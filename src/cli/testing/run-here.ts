import { Writable } from 'node:stream';
import type { Context } from '../command.ts';
import { runCommandLine } from '../main.ts';
import type { Run, RunOptions } from './run-cli.ts';

/** Runs `worldkeep ARGS` in this process: the same as a process of its own, except for features of a process. */
export async function runHere(
  args: readonly string[],
  {
    env = {},
    cwd = '/',
    signal = new AbortController().signal,
    confirm = null,
  }: Pick<RunOptions, 'env' | 'cwd'> & { signal?: AbortSignal; confirm?: Context['confirm'] } = {},
): Promise<Run> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const code = await runCommandLine(args, { env, cwd, stdout, stderr, signal, confirm });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

class Collector extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString();
  }
}
