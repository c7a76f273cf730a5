import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSecrets } from './secrets.ts';

it('gives a folder of before the secret that it does not have yet, once, and leaves the others', () => {
  const dir = mkdtempSync(join(tmpdir(), 'secrets-'));
  try {
    const { sessionSigningKey, ...before } = readSecrets(dir);
    expect(Buffer.byteLength(sessionSigningKey)).toBeGreaterThanOrEqual(32);
    const file = join(dir, 'secrets.json');
    writeFileSync(file, JSON.stringify(before));
    const after = readSecrets(dir);
    expect(after).toEqual({ ...before, sessionSigningKey: expect.stringMatching(/^[\w-]{32,}$/) });
    expect(after.sessionSigningKey).not.toBe(sessionSigningKey);
    expect(readSecrets(dir)).toEqual(after);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(after);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    writeFileSync(file, JSON.stringify({ ...after, ownerPassword: undefined }));
    expect(() => readSecrets(dir)).toThrow('ownerPassword');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
