import { describe, expect, it } from 'vitest';
import { stack, uniqueName } from '../../../test/support.ts';
import { runHere } from '../testing/run-here.ts';

describe('worldkeep keys create', () => {
  const create = (...args: string[]) =>
    runHere(['keys', 'create', ...args], { env: { DATABASE_URL: stack().databaseUrl } });

  it('makes the tenant where it is new, and prints the key once', async () => {
    const made = uniqueName('new');
    const { code, stdout } = await create(
      '--tenant',
      made,
      '--scopes',
      'read,admin',
      '--expires',
      '2099-01-31T01:00:00+01:00',
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      id: expect.stringMatching(/^key_/),
      tenantId: made,
      scopes: ['read', 'admin'],
      expiresAt: '2099-01-31T00:00:00.000Z',
      secret: expect.stringMatching(new RegExp(`^wk_${made}_[\\w-]{43}$`)),
    });
    expect((await create('--tenant', made, '--scopes', 'read')).code).toBe(0);
  });

  it('prints the secret alone on stdout, so that a script can take it', async () => {
    const { stdout, stderr } = await create('--tenant', uniqueName('cli'), '--scopes', 'read');
    expect(stdout).toMatch(/^wk_[\w-]+\n$/);
    expect(stderr).not.toContain(stdout.trim());
  });
});
