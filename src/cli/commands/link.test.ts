import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../../test/support.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
beforeAll(async () => {
  at = await openWorkplace({ SESSION_SIGNING_KEY: stack().sessionSigningKey });
  await at.request('/spaces/plaza', 'PUT', { name: 'Plaza' });
});
afterAll(() => at?.close());

const readUser = async (id: string) => {
  const response = await at.request(`/users/${id}`);
  return (await response.json()) as Record<string, unknown>;
};
/** Reads space and token from a link, as the page does. */
const readLink = (link: string) => {
  const { origin, pathname, hash } = new URL(link);
  const { space = '', token = '', ...rest } = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  expect([`${origin}${pathname}`, rest]).toEqual([`${at.url}/`, {}]);
  return { space, token };
};
const call = (token: string, method = 'GET', path = '/objects') =>
  fetch(`${at.url}/v1/spaces/plaza${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(method === 'PUT' && { body: '{}' }),
  });

describe('worldkeep link', () => {
  it('prints only the link on stdout, which lets a new guest edit the space for an hour', async () => {
    const before = Date.now();
    const { code, stdout, stderr } = await at.run('link', '--space', 'plaza');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^\S+\n$/)]);
    const { space, token } = readLink(stdout.trim());
    expect(space).toBe('plaza');
    expect(stderr).not.toContain(token);
    expect((await call(token, 'PUT', '/objects/chair')).status).toBe(201);
    const guest = /guest-[0-9a-f]{6}/.exec(stderr)?.[0] ?? '';
    expect(await readUser(guest)).toMatchObject({ displayName: 'Guest' });
    const { expiresAt } = await at.runJson('link', '--space', 'plaza');
    expect(Date.parse(String(expiresAt)) - before).toBeGreaterThan(3_590_000);
  });

  it('has the person, the role and the time that the options name', async () => {
    const options = ['--user', 'ann', '--name', 'Ann', '--role', 'viewer', '--ttl', '60'];
    const document = await at.runJson('link', '--space', 'plaza', ...options);
    expect(Object.keys(document)).toEqual(['link', 'userId', 'expiresAt']);
    expect(document.userId).toBe('ann');
    expect(Date.parse(String(document.expiresAt)) - Date.now()).toBeLessThanOrEqual(60_000);
    const { token } = readLink(String(document.link));
    expect((await call(token)).status).toBe(200);
    expect((await call(token, 'PUT', '/objects/table')).status).toBe(403);
    expect(await readUser('ann')).toMatchObject({ displayName: 'Ann' });
  });

  it('keeps the name of a person who exists, and all else of one whom it renames', async () => {
    const ben = { displayName: 'Ben', avatarUrl: '/ben.png', properties: { team: 'red' } };
    await at.request('/users/ben', 'PUT', ben);
    await at.runJson('link', '--space', 'plaza', '--user', 'ben');
    expect(await readUser('ben')).toMatchObject(ben);
    await at.runJson('link', '--space', 'plaza', '--user', 'ben', '--name', 'Benjamin');
    expect(await readUser('ben')).toMatchObject({ ...ben, displayName: 'Benjamin' });
  });

  it('says that a space does not exist, and creates nobody', async () => {
    const { code, stderr } = await at.run('link', '--space', 'nowhere', '--user', 'cat');
    expect([code, stderr]).toEqual([1, 'worldkeep: there is no space nowhere\n']);
    expect((await at.request('/users/cat')).status).toBe(404);
  });

  it('says that the server has no SESSION_SIGNING_KEY', async () => {
    const unsigned = await openWorkplace();
    try {
      await unsigned.request('/spaces/plaza', 'PUT', { name: 'Plaza' });
      const { code, stdout } = await unsigned.run('link', '--space', 'plaza', '--json');
      expect([code, JSON.parse(stdout)]).toEqual([
        1,
        {
          error: {
            code: 'no_signing_key',
            message: 'the server signs no sessions: set SESSION_SIGNING_KEY on the server, and restart it',
            status: 501,
          },
        },
      ]);
    } finally {
      await unsigned.close();
    }
  });
});
