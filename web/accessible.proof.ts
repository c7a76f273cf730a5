import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startTcpProxy } from '../test/tcp-proxy.ts';
import { makeGuests } from './testing/guests.ts';
import { usePage } from './testing/use-page.ts';
import { eventually, expectAccessible, expectQuiet, openTab, PHONE } from './testing/visit.ts';

const at = usePage();

/** The ids or names of the elements that the Tab key reaches, in order, until it comes back to the first. */
async function tabThrough(page: Page): Promise<string[]> {
  const reached: string[] = [];
  await page.locator('#view').focus();
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      return element.id || element.getAttribute('name') || element.textContent?.trim() || element.tagName;
    });
    if (name === 'view') break;
    reached.push(name);
  }
  return reached;
}

describe('axe finds no serious fault', () => {
  it('on the page that asks for a link', async () => {
    const tab = await openTab(at.browser, `http://${at.api.address.host}:${at.api.address.port}/`, {
      isLoaded: false,
    });
    await eventually(() => tab.page.locator('#sign-in').isVisible()).toBe(true);
    await expectAccessible(tab.page, 'sign-in');
    await tab.page.locator('#link').fill('none');
    await tab.page.locator('#link').press('Enter');
    await expectAccessible(tab.page, 'sign-in with a problem');
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('in a world, with a selected object, with the help, during an outage', async () => {
    const guests = await makeGuests(at.api);
    const proxy = await startTcpProxy(at.api.address.port);
    const link = await guests.link('ann', { url: `http://127.0.0.1:${proxy.port}` });
    const tab = await openTab(at.browser, link);
    const { page } = tab;
    await page.locator('#text').fill('Hello');
    await page.locator('#text').press('Enter');
    await expectAccessible(page, 'signed in');
    await page.locator('#objects-panel > summary').click();
    await page.locator('#create').click();
    await eventually(() => page.locator('#found button').count()).toBe(1);
    await expectAccessible(page, 'an object is selected');
    await page.locator('#open-help').click();
    await expectAccessible(page, 'help');
    await page.keyboard.press('Escape');
    proxy.inject({ kind: 'refuse' });
    await page.locator('#create').click();
    await eventually(() => page.locator('#outage').textContent()).toContain('1 change of yours');
    await page.locator('#text').fill('Are you there?');
    await page.locator('#text').press('Enter');
    await expectAccessible(page, 'outage');
    proxy.clear();
    await eventually(() => page.locator('#outage').isHidden()).toBe(true);
    await expectQuiet(tab, { allowed: /net::ERR_/ });
    await tab.context.close();
    await proxy.close();
  });

  it('on a phone, whose panels open one by one', async () => {
    const guests = await makeGuests(at.api);
    const tab = await openTab(at.browser, await guests.link('ann'), { viewport: PHONE });
    const { page } = tab;
    for (const panel of await page.locator('details').all())
      expect(await panel.evaluate((details) => (details as HTMLDetailsElement).open)).toBe(false);
    await expectAccessible(page, 'phone');
    await page.locator('#create').click();
    await eventually(() => page.locator('#object-form').isVisible()).toBe(true);
    await page.locator('#chat-panel > summary').click();
    await expectAccessible(page, 'phone with panels');
    // Nothing is wider than the window, and the whole form can be scrolled to.
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(PHONE.width);
    await page.locator('#delete').click();
    await eventually(() => page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(0);
    await expectQuiet(tab);
    await tab.context.close();
  });
});

describe('by keyboard alone', () => {
  it('a person finds, selects, moves, turns, deletes and brings back objects, fills the form and talks', async () => {
    const guests = await makeGuests(at.api);
    for (const id of ['first', 'second'])
      await guests.call('PUT', `/v1/spaces/${guests.space}/objects/${id}`, { name: `The ${id}` });
    const tab = await openTab(at.browser, await guests.link('ann'));
    const { page } = tab;
    const key = (name: string) => page.keyboard.press(name);
    const selected = () => page.evaluate(() => window.worldkeep?.editor.selected ?? null);

    // Without the mouse, the focus is on the body: keys work there too.
    await key(']');
    await eventually(selected).toMatchObject({ id: 'first' });
    await key(']');
    await key('[');
    await eventually(selected).toMatchObject({ id: 'first' });
    const reached = await tabThrough(page);
    for (const name of ['open-help', 'share', 'name', 'position.x', 'shape', 'parentId', 'properties'])
      expect(reached).toContain(name);
    // Nothing is to be undone yet, so that button is skipped.
    for (const name of [
      'delete',
      'find',
      'messages',
      'text',
      'new-shape',
      'create',
      'model-file',
      'undo',
      'show-marks',
    ])
      if (name !== 'undo' && name !== 'find') expect(reached).toContain(name);

    await page.locator('#view').focus();
    await key('ArrowRight');
    await key('Shift+ArrowUp');
    await key('PageUp');
    await key('e');
    await key('+');
    const moved = await selected();
    expect(Math.hypot(moved?.position.x ?? 0, moved?.position.z ?? 0)).toBeCloseTo(Math.hypot(0.25, 2));
    expect(moved?.position.y).toBe(0.25);
    expect(moved?.rotation.y).toBeCloseTo(-Math.sin(Math.PI / 24));
    expect(moved?.scale.x).toBeCloseTo(1.1);
    for (let i = 0; i < 5; i++) await key('Control+z');
    expect(await selected()).toMatchObject({ position: { x: 0, y: 0, z: 0 }, scale: { x: 1 } });
    await key('Delete');
    expect(await selected()).toBeNull();
    await key('Control+z');
    await eventually(async () => (await guests.state()).objects.length).toBe(2);
    await key('Escape');
    expect(await selected()).toBeNull();

    // The list of objects.
    await page.locator('#objects-panel > summary').focus();
    await key('Enter');
    await key('Tab');
    await page.keyboard.type('second');
    await eventually(() => page.locator('#found button').count()).toBe(1);
    await key('Tab');
    await key('Enter');
    await eventually(selected).toMatchObject({ id: 'second' });
    const name = page.locator('#object-form [name="name"]');
    // The page shows the form in its next frame.
    await name.waitFor();
    await name.focus();
    await key('Control+a');
    await page.keyboard.type('Renamed');
    await key('Tab');
    await eventually(selected).toMatchObject({ name: 'Renamed' });
    // Escape leaves a field for the keys of the view.
    await key('Escape');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('view');
    await key('Control+d');
    await eventually(() => page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(3);
    await key('2');
    expect(await page.locator('[value="rotate"]').isChecked()).toBe(true);

    await key('Enter');
    await page.keyboard.type('Hello wasd');
    await key('Enter');
    await eventually(async () => (await guests.state()).chat.map(({ text }) => text)).toEqual(['Hello wasd']);
    await key('Escape');
    await key('?');
    expect(await page.locator('#help').isVisible()).toBe(true);
    await key('Escape');
    expect(await page.locator('#help').isVisible()).toBe(false);
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('a screen reader hears each message and each outage once', async () => {
    const guests = await makeGuests(at.api);
    const proxy = await startTcpProxy(at.api.address.port);
    const link = await guests.link('ann', { url: `http://127.0.0.1:${proxy.port}` });
    const { page, context } = await openTab(at.browser, link);
    await page.evaluate(() => {
      const heard: string[] = [];
      Object.assign(window, { heard });
      for (const region of ['#messages', '#outage-news', '#status'])
        new MutationObserver((changes) => {
          // The parts of a message come with it.
          for (const { addedNodes, target } of changes)
            for (const node of addedNodes)
              if (region !== '#messages' || target === document.querySelector(region))
                heard.push(`${region} ${node.textContent}`);
        }).observe(document.querySelector(region) as Element, { childList: true, subtree: true });
    });
    const heard = () => page.evaluate(() => Reflect.get(window, 'heard') as string[]);
    for (const text of ['one', 'two']) await guests.call('POST', `/v1/spaces/${guests.space}/chat`, { text });
    await eventually(async () => (await heard()).filter((text) => text.startsWith('#messages')).length).toBe(
      2,
    );
    expect((await heard()).filter((text) => text.startsWith('#messages'))).toEqual([
      '#messages Nobody: one',
      '#messages Nobody: two',
    ]);
    proxy.inject({ kind: 'refuse' });
    for (let i = 0; i < 3; i++) {
      await page.locator('#view').press('n');
      const unsent = await page.evaluate(() => window.worldkeep?.world.unsent);
      await eventually(() => page.locator('#outage').textContent()).toMatch(
        new RegExp(`${unsent} changes? of`),
      );
    }
    expect((await heard()).filter((text) => text.startsWith('#outage'))).toHaveLength(1);
    await context.close();
    await proxy.close();
  });
});
