#!/usr/bin/env node
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { EXIT, runCommandLine } from './main.ts';

const interrupted = new AbortController();
// The first signal lets the command undo what is half done; the second is the system's again.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

// A reader that has had enough (`| head`) is no failure worth a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`worldkeep: stdout cannot be written: ${error.code}\n`);
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});

/** Asks on stderr, because stdout has results. Anything but y or yes is a no. */
async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(question, { signal: interrupted.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    terminal.close();
  }
}

void runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
  confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : null,
}).then((code) => {
  process.exitCode = code;
});
