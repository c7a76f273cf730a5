import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');

async function runDemo(...args: string[]): Promise<{ output: string; code: number }> {
  const demo = spawn(process.execPath, [join(PROJECT, 'dev/demo.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(demo.stdout), once(demo, 'exit')]);
  return { output, code };
}

describe('the main job', () => {
  it('loses no acknowledged write when the server is killed during writes', {
    timeout: 180_000,
  }, async () => {
    const { output, code } = await runDemo();
    expect(output).toMatch(/acknowledged writes {2}[4-9]\d\d/);
    expect(output).toMatch(/missing {14}0\n.*unexpected {11}0\n.*different {12}0\n/);
    expect(output).toContain('The world survived: it is the same world.');
    expect(code).toBe(0);
  });

  it('loses no acknowledged write while stores are killed one after the other', {
    timeout: 180_000,
  }, async () => {
    const { output, code } = await runDemo('outage', '5');
    for (const outcome of ['queued', 'spilled', 'refused'])
      expect(output).toMatch(new RegExp(`   ${outcome} +[1-9]`));
    expect(output).toMatch(/ {3}queued +\d+, lost 0\n {3}spilled +\d+, lost 0\n/);
    expect(output).toMatch(/acknowledged and lost {3}0\n.*messages there twice {4}0\n/);
    expect(output).toContain('No acknowledged write was lost.');
    expect(code).toBe(0);
  });

  it('loses no acknowledged write while every 5 seconds something is killed', {
    timeout: 180_000,
  }, async () => {
    const { output, code } = await runDemo('kills', '0.5');
    expect(output).toMatch(/ 20 s {2}[1-9]\d* kills/);
    expect(output).toMatch(/acknowledged and lost {3}0\n.*messages there twice {4}0\n/);
    expect(code).toBe(0);
  });
});
