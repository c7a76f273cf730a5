import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');

describe('the specification', () => {
  const rules = [
    ...readFileSync(join(PROJECT, 'src/SPEC.md'), 'utf8').matchAll(/\*\*([A-Z]\d+[a-z]?'?)\*\*/g),
  ].map(([, id]) => id ?? '');

  it('has each rule once', () => {
    expect(rules.length).toBeGreaterThan(150);
    expect(rules.filter((id, i) => rules.indexOf(id) !== i)).toEqual([]);
  });

  it('has every rule that a test quotes', () => {
    const folders = ['src', 'functions', 'test', 'drizzle', 'dev', 'bench'];
    const files = execFileSync('git', ['ls-files', ...folders], { cwd: PROJECT, encoding: 'utf8' })
      .split('\n')
      .filter((file) => /\.(test|proof)\.ts$|^test\//.test(file));
    const unknown = files.flatMap((file) =>
      [...readFileSync(join(PROJECT, file), 'utf8').matchAll(/['"`]\[([A-Z]\d+[a-z]?'?)\] /g)]
        .map(([, id]) => id ?? '')
        .filter((id) => !rules.includes(id))
        .map((id) => `${file}: ${id}`),
    );
    expect(unknown).toEqual([]);
  });
});
