import { expect } from 'vitest';
import type { Finding } from '../doctor/finding.ts';
import { runHere } from './run-here.ts';

export interface DoctorReport {
  code: number | null;
  healthy: boolean;
  text: string;
  find(id: string): Finding | undefined;
  wrong: string[];
}

/** The report of `worldkeep doctor` in exactly this environment. */
export async function runDoctor(env: Record<string, string>, cwd: string): Promise<DoctorReport> {
  const { code, stdout, stderr } = await runHere(['doctor', '--json'], { env, cwd });
  expect(stdout, stderr).not.toBe('');
  const { healthy, findings } = JSON.parse(stdout) as { healthy: boolean; findings: Finding[] };
  return {
    code,
    healthy,
    text: stdout,
    find: (id) => findings.find((finding) => finding.id === id),
    wrong: findings.filter(({ status }) => status === 'wrong').map(({ id }) => id),
  };
}
