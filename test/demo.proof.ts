import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');

describe('the main job', () => {
  it('loses no acknowledged write when the server is killed during writes', {
    timeout: 180_000,
  }, async () => {
    const demo = spawn(process.execPath, [join(PROJECT, 'dev/demo.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output, [code]] = await Promise.all([text(demo.stdout), once(demo, 'exit')]);
    expect(output).toMatch(/acknowledged writes {2}[4-9]\d\d/);
    expect(output).toMatch(/missing {14}0\n.*unexpected {11}0\n.*different {12}0\n/);
    expect(output).toContain('The world survived: it is the same world.');
    expect(code).toBe(0);
  });
});
