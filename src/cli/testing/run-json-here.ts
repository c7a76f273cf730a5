import { expect } from 'vitest';
import { runHere } from './run-here.ts';
import type { Workplace } from './workplace.ts';

/** Runs a command in this process, and returns its --json output. */
export async function runJsonHere(
  { env, folder }: Workplace,
  ...args: string[]
): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runHere([...args, '--json'], { env, cwd: folder });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}
