import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildScripts, SCRIPTS_MODULE } from '../../dev/build-scripts.ts';
import * as scripts from './scripts.ts';

describe('the scripts', () => {
  it('equal the .lua files: after a change, `npm run build:scripts`', () => {
    expect(readFileSync(SCRIPTS_MODULE, 'utf8')).toBe(buildScripts());
  });

  it.each(Object.entries(scripts))('%s asks Upstash to lock no more than its keys', (_, { source }) => {
    expect(source).toMatch(/^#!lua flags=allow-key-locking(,allow-oom)?\n--\[\[\n/);
  });
});
