import { expect, it } from 'vitest';
import { makeGuests } from './testing/guests.ts';
import { usePage } from './testing/use-page.ts';
import {
  eventually,
  expectQuiet,
  openTab,
  project,
  waitUntilLoaded,
  waitUntilStill,
} from './testing/visit.ts';

const at = usePage({ API_KEY_CACHE_SECONDS: '0' });

const REFUSED = (status: number) => new RegExp(`status of ${status}`);

it('a viewer gets no tools, and the server refuses the page’s changes anyway', async () => {
  const guests = await makeGuests(at.api);
  await guests.call('PUT', `/v1/spaces/${guests.space}/objects/box`, {
    position: { x: 0, y: 1, z: 0 },
    scale: { x: 2, y: 2, z: 2 },
  });
  const tab = await openTab(at.browser, await guests.link('eve', { role: 'viewer' }));
  const { page } = tab;
  expect(await page.locator('#tools').isHidden()).toBe(true);
  await waitUntilStill(page);
  const grip = await project(page, [0.85, 1.85, 0.85]);
  await page.mouse.click(grip.x, grip.y);
  await eventually(() => page.locator('#object-form').isVisible()).toBe(true);
  expect(await page.locator('#object-form [name="name"]').isDisabled()).toBe(true);
  expect(await page.locator('#delete').isDisabled()).toBe(true);
  expect(await page.locator('#focus').isDisabled()).toBe(false);
  await page.mouse.down();
  await page.mouse.move(grip.x + 60, grip.y, { steps: 4 });
  await page.mouse.up();
  for (const keys of ['n', 'q', '+', 'Delete', 'ArrowLeft', 'Control+z', 'Control+d'])
    await page.locator('#view').press(keys);
  expect(await page.evaluate(() => window.worldkeep?.world.unsent)).toBe(0);
  // A viewer may walk and talk.
  await page.locator('#text').fill('I only look');
  await page.locator('#text').press('Enter');
  await eventually(async () => (await guests.state()).chat.map(({ text }) => text)).toEqual(['I only look']);
  await eventually(async () => (await guests.state()).users.length).toBe(1);
  expect(await page.locator('#notices').textContent()).toBe('');

  await page.locator('#view').press('Escape');
  await page.evaluate(() => void window.worldkeep?.world.delete('box'));
  await eventually(() => page.locator('#notices').textContent()).toContain('your role');
  await eventually(() => page.evaluate(() => window.worldkeep?.world.objects.has('box'))).toBe(true);
  expect((await guests.state()).objects).toHaveLength(1);
  await expectQuiet(tab, { allowed: REFUSED(403) });
  await tab.context.close();
});

it('a session that ends while the page is open is explained, and a new link in the tab goes on', async () => {
  const guests = await makeGuests(at.api);
  const link = await guests.link('ann');
  const tab = await openTab(at.browser, link);
  const { page } = tab;
  const claims = JSON.parse(
    atob(new URL(link).hash.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? ''),
  );
  await guests.call('DELETE', `/v1/sessions/${claims.jti ?? claims.sid}`);
  await page.locator('#create').click();
  await eventually(() => page.locator('#outage').textContent()).toContain('sign-in has ended');
  await eventually(() => page.locator('#outage').textContent()).toMatch(
    /\d changes? of yours waits? in this browser/,
  );
  expect(await page.locator('#status').textContent()).toContain('Signed out');
  expect((await guests.state()).objects).toHaveLength(0);
  // Only the fragment changes: the browser loads no other page.
  await page.goto(await guests.link('ann'));
  await waitUntilLoaded(page);
  await eventually(async () => (await guests.state()).objects.length).toBe(1);
  await eventually(() => page.locator('#outage').isHidden()).toBe(true);
  await expectQuiet(tab, { allowed: REFUSED(401) });
  await tab.context.close();
});

it('an invalid token, an API key, an incomplete link and a missing space are explained', async () => {
  const guests = await makeGuests(at.api);
  const link = (fragment: string) => `${guests.url}/#${fragment}`;
  const invalid = await openTab(at.browser, link(`space=${guests.space}&token=a.b.c`), { isLoaded: false });
  await eventually(() => invalid.page.locator('#outage').textContent()).toContain('sign-in has ended');
  await expectQuiet(invalid, { allowed: REFUSED(401) });

  const key = await openTab(at.browser, link(`space=${guests.space}&token=${guests.key}`), {
    isLoaded: false,
  });
  await eventually(() => key.page.locator('#sign-in-problem').textContent()).toContain('API key');
  expect(await key.page.evaluate(() => JSON.stringify({ ...sessionStorage }))).not.toContain('wk_');
  expect(key.page.url()).toBe(`${guests.url}/`);
  await expectQuiet(key);

  const incomplete = await openTab(at.browser, link('space=plaza'), { isLoaded: false });
  await eventually(() => incomplete.page.locator('#sign-in-problem').textContent()).toContain('incomplete');
  await expectQuiet(incomplete);

  const gone = await guests.link('ann');
  await guests.call('DELETE', `/v1/spaces/${guests.space}`);
  const missing = await openTab(at.browser, gone, { isLoaded: false });
  const outage = missing.page.locator('#outage');
  await eventually(() => outage.textContent()).toMatch(/Open (a new|another) sign-in link/);
  // The page used to hide the reason after a quarter of a second.
  await missing.page.evaluate(async () => {
    for (let i = 0; i < 40; i++) await new Promise((resolve) => requestAnimationFrame(resolve));
  });
  expect(await outage.isVisible()).toBe(true);
  await expectQuiet(missing, { allowed: REFUSED(40) });
  for (const { context } of [invalid, key, incomplete, missing]) await context.close();
});

it('without a token the page asks for a link, and a second tab opens the world of the first', async () => {
  const guests = await makeGuests(at.api);
  const tab = await openTab(at.browser, `${guests.url}/`, { isLoaded: false });
  const { page, context } = tab;
  await page.locator('#link').fill('https://elsewhere.example/');
  await page.locator('#sign-in-form button').click();
  await eventually(() => page.locator('#sign-in-problem').textContent()).toContain('no sign-in link');
  await page.locator('#link').fill(await guests.link('ann'));
  await page.locator('#link').press('Enter');
  await waitUntilLoaded(page);
  expect(page.url()).toBe(`${guests.url}/`);
  expect(await page.title()).toBe(`${guests.space} · worldkeep`);
  const second = await openTab(context, `${guests.url}/`);
  await eventually(() => second.page.locator('#people').textContent()).toContain('The ann (you)');
  await page.locator('#view').press('n');
  await eventually(() => second.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(1);
  await page.reload();
  await waitUntilLoaded(page);
  // The link for another tab is the way to share a browser's sign-in.
  const [opened] = await Promise.all([context.waitForEvent('page'), page.locator('#share').click()]);
  await waitUntilLoaded(opened);
  await expectQuiet(tab);
  await expectQuiet(second);
  await context.close();
});
