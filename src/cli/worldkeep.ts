#!/usr/bin/env node
import process from 'node:process';
import { EXIT, runCommandLine } from './main.ts';

const interrupted = new AbortController();
// The first signal lets the command undo what is half done; the second is the system's again.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

// A reader that has had enough (`| head`) is no failure worth a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`worldkeep: stdout cannot be written: ${error.code}\n`);
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});

void runCommandLine(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
}).then((code) => {
  process.exitCode = code;
});
