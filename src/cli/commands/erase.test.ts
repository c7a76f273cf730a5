import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../../test/support.ts';
import { runHere } from '../testing/run-here.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
let asAdmin: { env: Record<string, string> };
beforeAll(async () => {
  at = await openWorkplace();
  await at.request('/spaces/plaza', 'PUT', { name: 'Plaza' });
  const made = await runHere(['keys', 'create', '--tenant', at.tenant, '--scopes', 'admin'], {
    env: { DATABASE_URL: stack().databaseUrl },
  });
  asAdmin = { env: { ...at.env, WORLDKEEP_API_KEY: made.stdout.trim() } };
});
afterAll(() => at?.close());

async function makePerson(id: string): Promise<void> {
  await at.request(`/users/${id}`, 'PUT', { displayName: 'Ann' });
  const { status } = await at.request('/spaces/plaza/chat', 'POST', { text: `hello from ${id}`, userId: id });
  expect(status).toBe(201);
}

describe('worldkeep erase', () => {
  it('erases a person and says the counts, and fails where nothing is left', async () => {
    await makePerson('ann');
    const { code, stdout } = await at.run('erase', 'ann', '--yes', '--once');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^erased ann: 1 message/)]);
    expect((await at.request('/users/ann')).status).toBe(404);
    const again = await at.run('erase', 'ann', '--yes', '--once', '--json');
    expect([again.code, JSON.parse(again.stdout).error]).toEqual([
      1,
      { code: 'not_found', message: 'nothing is stored of ann', status: 404 },
    ]);
  });

  it('prints the counts as a document', async () => {
    await makePerson('ben');
    const document = await at.runJson('erase', 'ben', '-y', '--once');
    expect(document).toMatchObject({ user: 'ben', erased: { profiles: 1, messages: 1, sessions: 0 } });
  });

  it('asks at a terminal, and needs --yes elsewhere', async () => {
    await makePerson('cat');
    const asked: string[] = [];
    const answer = (is: boolean) => ({
      ...{ env: at.env },
      confirm: async (question: string) => {
        asked.push(question);
        return is;
      },
    });
    const silent = await at.run('erase', 'cat');
    expect([silent.code, silent.stderr]).toEqual([2, expect.stringContaining('Give --yes')]);
    const refused = await runHere(['erase', 'cat', '--once'], answer(false));
    expect([refused.code, refused.stderr]).toEqual([1, 'worldkeep: nothing was erased\n']);
    expect((await at.request('/users/cat')).status).toBe(200);
    const confirmed = await runHere(['erase', 'cat', '--once'], answer(true));
    expect(confirmed.code).toBe(0);
    expect(asked).toHaveLength(2);
    expect(asked[0]).toContain('Erase cat ');
    expect((await at.request('/users/cat')).status).toBe(404);
  });

  it('looks again after some seconds, and says if it was interrupted before', async () => {
    await makePerson('dan');
    const ending = new AbortController();
    const run = runHere(['erase', 'dan', '--yes'], { env: at.env, signal: ending.signal });
    await expect.poll(async () => (await at.request('/users/dan')).status).toBe(404);
    ending.abort();
    const { code, stderr } = await run;
    expect([code, stderr]).toEqual([1, expect.stringContaining('interrupted')]);
  });

  it('refuses what is no id', async () => {
    const { code, stderr } = await at.run('erase', 'a/b', '--yes');
    expect([code, stderr]).toEqual([2, expect.stringContaining('USER ')]);
  });
});

describe('worldkeep export-user', () => {
  it('writes one document to a file or to stdout, and leaves no half of a file', async () => {
    await makePerson('eve');
    const toFile = await runHere(['export-user', 'eve', '-o', 'eve.json'], { ...asAdmin, cwd: at.folder });
    expect([toFile.code, toFile.stdout]).toEqual([0, expect.stringMatching(/^exported eve to eve\.json: /)]);
    const document = JSON.parse(await readFile(join(at.folder, 'eve.json'), 'utf8'));
    expect(document).toMatchObject({
      user: { id: 'eve', displayName: 'Ann' },
      messages: [{ spaceId: 'plaza', text: 'hello from eve' }],
      complete: true,
    });
    const toStdout = await runHere(['export-user', 'eve'], asAdmin);
    expect(JSON.parse(toStdout.stdout).messages).toEqual(document.messages);
    const missing = await runHere(['export-user', 'nobody', '-o', 'nobody.json'], {
      ...asAdmin,
      cwd: at.folder,
    });
    expect([missing.code, missing.stderr]).toEqual([1, 'worldkeep: there is no person nobody\n']);
    expect(await readdir(at.folder)).toEqual(['eve.json']);
  });

  it('needs a key with admin', async () => {
    const { code, stderr } = await at.run('export-user', 'eve');
    expect([code, stderr]).toEqual([1, expect.stringContaining('does not have the scope "admin"')]);
  });
});
