import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../../test/support.ts';
import type { Run } from '../testing/run-cli.ts';
import { runHere } from '../testing/run-here.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
let runAsAdmin: (...args: string[]) => Promise<Run>;
const createKey = async (...options: string[]) => {
  const { stdout } = await runHere(['keys', 'create', '--tenant', at.tenant, ...options, '--json'], {
    env: { DATABASE_URL: stack().databaseUrl },
  });
  return JSON.parse(stdout) as { id: string; secret: string };
};
beforeAll(async () => {
  at = await openWorkplace();
  const { secret } = await createKey('--scopes', 'admin');
  runAsAdmin = (...args) => runHere(args, { env: { ...at.env, WORLDKEEP_API_KEY: secret } });
});
afterAll(async () => {
  await at.close();
});

describe('worldkeep keys list', () => {
  it('shows every key and when it ends, and no secret', async () => {
    const { id, secret } = await createKey('--scopes', 'read,write', '--expires', '2099-01-31T00:00:00Z');
    const { code, stdout } = await runAsAdmin('keys', 'list');
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^ID +SCOPES +MADE +ENDS$/);
    expect(lines).toHaveLength(4);
    expect(lines.find((line) => line.startsWith(id))).toMatch(
      / read,write +\S+Z {2}2099-01-31T00:00:00.000Z$/,
    );
    const document = await runAsAdmin('keys', 'list', '--json');
    expect(JSON.parse(document.stdout).keys).toContainEqual(
      expect.objectContaining({ id, tenantId: at.tenant, scopes: ['read', 'write'], revokedAt: null }),
    );
    expect(stdout + document.stdout).not.toContain(secret);
  });

  it('needs a key with admin', async () => {
    const { code, stderr } = await at.run('keys', 'list');
    expect(code).toBe(1);
    expect(stderr).toContain('does not have the scope "admin"');
  });
});

describe('worldkeep keys revoke', () => {
  it('ends a key', async () => {
    const { id, secret } = await createKey('--scopes', 'read');
    const { code, stdout } = await runAsAdmin('keys', 'revoke', id);
    expect([code, stdout]).toEqual([0, `key ${id} is revoked\n`]);
    const headers = { authorization: `Bearer ${secret}` };
    expect((await fetch(`${at.url}/v1/spaces`, { headers })).status).toBe(401);
    const { stdout: listed } = await runAsAdmin('keys', 'list');
    expect(listed.split('\n').find((line) => line.startsWith(id))).toContain(' revoked ');
  });

  it('says that a key is not there', async () => {
    const { code, stdout } = await runAsAdmin('keys', 'revoke', 'key_0', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({ code: 'not_found', message: 'there is no key key_0' });
  });
});
