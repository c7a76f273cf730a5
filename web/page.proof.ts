import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { makeGuests } from './testing/guests.ts';
import { usePage } from './testing/use-page.ts';
import { eventually, expectQuiet, openTab, project, waitUntilStill } from './testing/visit.ts';

/** Generous, because other programs share the processors. The test prints the real figure; the aim is below 500. */
const SEEN_MS_MAX = 5_000;

const at = usePage();

const readObject = (page: Page, id: string) =>
  page.evaluate((wanted) => window.worldkeep?.world.objects.get(wanted) ?? null, id);
const readSelected = (page: Page) => page.evaluate(() => window.worldkeep?.editor.selected ?? null);
const press = (page: Page, keys: string) => page.locator('#view').press(keys);

/** Ann and Ben in a new world, which has one box. */
async function openTwo() {
  const guests = await makeGuests(at.api);
  await guests.call('PUT', `/v1/spaces/${guests.space}/objects/box`, {
    position: { x: 0, y: 1, z: 0 },
    scale: { x: 2, y: 2, z: 2 },
    properties: { shape: 'box', color: '#d04040' },
  });
  const [ann, ben] = await Promise.all([
    openTab(at.browser, await guests.link('ann')),
    openTab(at.browser, await guests.link('ben')),
  ]);
  const close = async () => {
    for (const tab of [ann, ben]) {
      await expectQuiet(tab);
      await tab.context.close();
    }
  };
  return { guests, ann, ben, close };
}

describe('two people in one world', () => {
  it('a person who writes properties takes nothing away from somebody else, and can remove what is inside', async () => {
    const { guests, ann, ben, close } = await openTwo();
    const at = `/v1/spaces/${guests.space}/objects/box`;
    await guests.call('PUT', at, { properties: { color: 'red', a: { x: 1, y: 2 } } });
    await eventually(async () => (await readObject(ann.page, 'box'))?.properties.a).toEqual({ x: 1, y: 2 });
    while ((await readSelected(ann.page))?.id !== 'box') await press(ann.page, ']');
    const field = ann.page.locator('[name="properties"]');
    await eventually(() => field.inputValue()).toContain('"y"');
    await field.focus();
    await guests.call('PUT', at, { properties: { color: 'blue', a: { x: 1, y: 2 }, theirs: 1 } });
    await eventually(async () => (await readObject(ann.page, 'box'))?.properties.theirs).toBe(1);
    await field.fill('{"color": "red", "a": {"x": 1}, "mine": 1}');
    await field.press('Tab');
    const merged = { color: 'blue', a: { x: 1 }, theirs: 1, mine: 1 };
    await eventually(async () => (await readObject(ben.page, 'box'))?.properties).toEqual(merged);
    await ann.page.locator('#undo').click();
    const undone = { color: 'blue', a: { x: 1, y: 2 }, theirs: 1 };
    await eventually(async () => (await readObject(ben.page, 'box'))?.properties).toEqual(undone);
    // A text that is no JSON stays, so that it can be corrected.
    await field.fill('{bad');
    await field.press('Tab');
    await eventually(() => ann.page.locator('#object-problem').textContent()).toContain('not JSON');
    expect(await field.inputValue()).toBe('{bad');
    await close();
  });

  it('a drag moves no other object that is selected meanwhile, and clicks go through a locked floor', async () => {
    const { guests, ann, close } = await openTwo();
    const at = `/v1/spaces/${guests.space}/objects`;
    await guests.call('PUT', `${at}/other`, { position: { x: 6, y: 1, z: 0 } });
    const floor = { shape: 'plane', locked: true };
    await guests.call('PUT', `${at}/floor`, { scale: { x: 60, y: 1, z: 60 }, properties: floor });
    await eventually(async () => (await readObject(ann.page, 'floor'))?.id).toBe('floor');
    await waitUntilStill(ann.page);
    const ground = await project(ann.page, [-3, 0, 3]);
    await ann.page.mouse.click(ground.x, ground.y);
    expect(await readSelected(ann.page)).toBeNull();
    const grip = await project(ann.page, [0.85, 1.85, 0.85]);
    await ann.page.mouse.click(grip.x, grip.y);
    await eventually(async () => (await readSelected(ann.page))?.id).toBe('box');
    await waitUntilStill(ann.page);
    await ann.page.mouse.move(grip.x, grip.y);
    await ann.page.mouse.down();
    await ann.page.mouse.move(grip.x + 20, grip.y, { steps: 4 });
    while ((await readSelected(ann.page))?.id !== 'other') await press(ann.page, ']');
    await ann.page.mouse.move(grip.x + 60, grip.y, { steps: 4 });
    await ann.page.mouse.up();
    await waitUntilStill(ann.page);
    expect((await readObject(ann.page, 'other'))?.position).toEqual({ x: 6, y: 1, z: 0 });
    await close();
  });

  it('a drag with the mouse in one browser shows in the other', async () => {
    const { ann, ben, close } = await openTwo();
    await waitUntilStill(ann.page);
    // Near a corner, because the handles of the selected object are in its middle.
    const grip = await project(ann.page, [0.85, 1.85, 0.85]);
    await ann.page.mouse.click(grip.x, grip.y);
    await eventually(async () => (await readSelected(ann.page))?.id).toBe('box');
    await waitUntilStill(ann.page);
    await ann.page.evaluate(() => {
      const { world } = window.worldkeep as NonNullable<Window['worldkeep']>;
      const move = world.move.bind(world);
      const sent: [number, number][] = [];
      Object.assign(window, { sent });
      world.move = (id, pose) => {
        sent.push([pose.position?.x ?? Number.NaN, performance.timeOrigin + performance.now()]);
        return move(id, pose);
      };
    });
    await ben.page.evaluate(() => {
      const seen: [number, number][] = [];
      Object.assign(window, { seen });
      window.worldkeep?.world.objects.on('change', ({ position }) =>
        seen.push([position.x, performance.timeOrigin + performance.now()]),
      );
    });
    await ann.page.mouse.move(grip.x, grip.y);
    await ann.page.mouse.down();
    for (let i = 1; i <= 40; i++) await ann.page.mouse.move(grip.x - i * 2, grip.y + i);
    await ann.page.mouse.up();
    const target = await readObject(ann.page, 'box');
    expect(Math.hypot(target?.position.x ?? 0, target?.position.z ?? 0)).toBeGreaterThan(0.5);
    expect(target?.position.y).toBeCloseTo(1);
    await eventually(async () => (await readObject(ben.page, 'box'))?.position).toEqual(target?.position);
    // The other page draws it there too.
    await waitUntilStill(ben.page);
    expect(
      await ben.page.evaluate(() => window.worldkeep?.scenery.figures.get('box')?.position.x),
    ).toBeCloseTo(target?.position.x ?? Number.NaN);

    const sent = new Map(await ann.page.evaluate(() => Reflect.get(window, 'sent') as [number, number][]));
    const seen = await ben.page.evaluate(() => Reflect.get(window, 'seen') as [number, number][]);
    const delays = seen
      .filter(([x]) => sent.has(x))
      .map(([x, atMs]) => Math.round(atMs - (sent.get(x) ?? Number.NaN)))
      .sort((a, b) => a - b);
    console.log(
      `from world.move in one page to the change in the other: median ${delays[delays.length >> 1]} ms, ` +
        `longest ${delays.at(-1)} ms, of ${delays.length} changes seen (${sent.size} moves)`,
    );
    expect(delays.length).toBeGreaterThan(0);
    expect(delays.at(-1)).toBeLessThan(SEEN_MS_MAX);
    await press(ann.page, 'Control+z');
    await eventually(async () => (await readObject(ben.page, 'box'))?.position).toEqual({ x: 0, y: 1, z: 0 });
    await close();
  });

  it('what one creates, changes, deletes, undoes and says, the other sees', async () => {
    const { guests, ann, ben, close } = await openTwo();
    const { page } = ann;
    await page.locator('#new-shape').selectOption('cone');
    await page.locator('#create').click();
    const id = (await readSelected(page))?.id ?? '';
    expect(id).not.toBe('');
    const seen = () => readObject(ben.page, id);
    await eventually(seen).toMatchObject({ properties: { shape: 'cone' } });

    await press(page, 'q');
    await press(page, '+');
    await press(page, 'PageUp');
    await eventually(async () => (await seen())?.position.y).toBe(0.75);
    await eventually(async () => (await seen())?.scale.x).toBeCloseTo(1.1);
    await eventually(async () => (await seen())?.rotation.y).toBeCloseTo(Math.sin(Math.PI / 24));

    const form = page.locator('#object-form');
    await form.locator('[name="name"]').fill('Hat');
    await form.locator('[name="name"]').press('Tab');
    await form.locator('[name="position.x"]').fill('3.5');
    await form.locator('[name="position.x"]').press('Tab');
    await form.locator('[name="rotation.y"]').fill('90');
    await form.locator('[name="rotation.y"]').press('Tab');
    await form.locator('[name="properties"]').fill('{"shape":"cone","glow":true,"tags":["a"]}');
    await form.locator('[name="properties"]').press('Tab');
    await eventually(seen).toMatchObject({
      name: 'Hat',
      position: { x: 3.5, y: 0.75 },
      properties: { glow: true, tags: ['a'] },
    });
    expect((await seen())?.rotation.y).toBeCloseTo(Math.SQRT1_2);
    await form.locator('[name="properties"]').fill('{"shape":');
    await form.locator('[name="properties"]').press('Tab');
    await eventually(() => page.locator('#object-problem').textContent()).toContain('not JSON');

    await page.locator('#duplicate').click();
    await eventually(() => ben.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(3);
    await page.locator('#delete').click();
    await eventually(() => ben.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(2);
    await page.locator('#undo').click();
    await eventually(() => ben.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(3);
    await page.locator('#redo').click();
    await eventually(() => ben.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(2);
    await eventually(async () => (await guests.state()).objects.length).toBe(2);

    await eventually(() => page.locator('#people').textContent()).toMatch(/The ann \(you\).*The ben/);
    await eventually(() => ben.page.locator('#people').textContent()).toMatch(/The ann.*The ben \(you\)/);
    const text = '<img src=x onerror=alert(1)> \u202bשלום';
    await page.locator('#text').fill(text);
    await page.locator('#text').press('Enter');
    await eventually(() => ben.page.locator('#messages').textContent()).toContain(`The ann: ${text}`);
    await eventually(() => page.locator('#messages').textContent()).not.toContain('not sent yet');

    const before = await ben.page.evaluate(() => window.worldkeep?.world.users.get('ann')?.position);
    await page.locator('#view').focus();
    await page.keyboard.down('w');
    await eventually(() =>
      ben.page.evaluate(() => window.worldkeep?.world.users.get('ann')?.position),
    ).not.toEqual(before);
    await page.keyboard.up('w');
    await eventually(() => ben.page.locator('#names').textContent()).toContain('The ann');
    await close();
  });

  it('an object that somebody deletes while it is dragged is released, and is no step', async () => {
    const { ann, ben, close } = await openTwo();
    await waitUntilStill(ann.page);
    const grip = await project(ann.page, [0.85, 1.85, 0.85]);
    await ann.page.mouse.click(grip.x, grip.y);
    await ann.page.mouse.move(grip.x, grip.y);
    await ann.page.mouse.down();
    await ann.page.mouse.move(grip.x + 30, grip.y + 10, { steps: 5 });
    await press(ben.page, ']');
    await press(ben.page, 'Delete');
    await eventually(() => ann.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(0);
    await ann.page.mouse.move(grip.x + 60, grip.y + 10, { steps: 5 });
    await ann.page.mouse.up();
    expect(await readSelected(ann.page)).toBeNull();
    expect(await ann.page.locator('#undo').isDisabled()).toBe(true);
    await eventually(() => ann.page.locator('#object-form').isHidden()).toBe(true);
    expect(await ann.page.evaluate(() => window.worldkeep?.stage.controls.enabled)).toBe(true);
    await press(ben.page, 'Control+z');
    await eventually(() => readObject(ann.page, 'box')).not.toBeNull();
    await close();
  });

  it('a form keeps the text that a person writes while somebody else changes the object', async () => {
    const { ann, ben, close } = await openTwo();
    await ann.page.locator('#objects-panel > summary').click();
    await ann.page.locator('#found button').click();
    const name = ann.page.locator('#object-form [name="name"]');
    await name.click();
    await name.pressSequentially('Mine');
    await ben.page.evaluate(() =>
      window.worldkeep?.world.patch('box', { name: 'Theirs', properties: { color: 'blue' } }),
    );
    await eventually(() => ann.page.locator('#object-form [name="color"]').inputValue()).toBe('#0000ff');
    expect(await name.inputValue()).toBe('Mine');
    expect(await name.evaluate((field) => field === document.activeElement)).toBe(true);
    // A new selection ends the writing: the text belongs to the first object.
    await ann.page.locator('#create').evaluate((button) => (button as HTMLButtonElement).click());
    await eventually(async () => (await readObject(ben.page, 'box'))?.name).toBe('Mine');
    await eventually(() => name.inputValue()).toBe('');
    expect((await readSelected(ann.page))?.name).toBeNull();
    await close();
  });
});

describe('odd worlds', () => {
  it('objects with odd values neither stop the page nor hide the others', async () => {
    const guests = await makeGuests(at.api);
    const zero = { x: 0, y: 0, z: 0 };
    const name = '<b onclick=x>\u202bמפתח\u2066';
    const odd: { id: string; [field: string]: unknown }[] = [
      { id: 'far', position: { x: 1e300, y: -1e300, z: 0 } },
      { id: 'below-far', parentId: 'far' },
      { id: 'large', scale: { x: 1e200, y: 1, z: 1 } },
      { id: 'flat', scale: zero, position: { x: 3, y: 1, z: 0 } },
      { id: 'below-flat', parentId: 'flat', position: { x: 1, y: 1, z: 1 } },
      { id: 'mirrored', scale: { x: -1, y: 1, z: 1 }, position: { x: -3, y: 1, z: 0 } },
      { id: 'circle-a', parentId: 'circle-b' },
      { id: 'circle-b', parentId: 'circle-a' },
      { id: 'lost', parentId: 'nowhere', name },
      { id: 'members', properties: { constructor: 1, toString: null, shape: '__proto__', color: 'url(x)' } },
      { id: 'types', properties: { shape: 5, color: { a: [1] }, glow: 'yes', gltf: 'text' } },
      { id: 'long', properties: { text: 'x'.repeat(60_000) } },
      { id: 'box', position: { x: 0, y: 1, z: 0 }, properties: { color: 'rgb(200 0 0 / 50%)' } },
    ];
    await guests.call('POST', `/v1/spaces/${guests.space}/updates`, {
      ops: odd.map((object) => ({ op: 'put', ...object })),
    });
    const tab = await openTab(at.browser, await guests.link('ann'));
    const { page } = tab;
    await page.locator('#objects-panel > summary').click();
    await eventually(() => page.locator('#found button').count()).toBe(odd.length);
    expect(await page.locator('#found').innerHTML()).not.toContain('<b ');
    // The box, which all others leave visible, can still be picked.
    await waitUntilStill(page);
    const { x, y } = await project(page, [0, 1, 0]);
    await page.mouse.click(x, y);
    await eventually(async () => (await readSelected(page))?.id).toBe('box');
    for (const { id } of odd) {
      await page.locator(`#found button[title="${id}"]`).click();
      await eventually(() => page.locator('#object-facts').textContent()).toMatch(new RegExp(`^${id} `));
      // The parent of size 0 has no way back: an arrow must not write a place that is no number.
      await press(page, 'ArrowLeft');
      await press(page, 'q');
    }
    await page.locator('#found button[title="far"]').click();
    await eventually(() => page.locator('#model-problem').textContent()).toContain('not drawn');
    await eventually(() => page.evaluate(() => window.worldkeep?.world.unsent)).toBe(0);
    const camera = await page.evaluate(() => window.worldkeep?.stage.camera.position.toArray());
    expect(camera?.every(Number.isFinite)).toBe(true);
    expect(await page.locator('#notices').textContent()).not.toContain('refused');

    await page.locator('#found button[title="members"]').click();
    const properties = page.locator('#object-form [name="properties"]');
    await properties.fill('{"__proto__": 1}');
    await properties.press('Tab');
    await eventually(() => page.locator('#object-problem').textContent()).toContain('__proto__');
    await properties.fill('{"shape": "box"}');
    await properties.press('Tab');
    await eventually(async () => (await readObject(page, 'members'))?.properties).toEqual({ shape: 'box' });
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('an empty world shows a place to begin, and a world of 20,000 objects opens', async () => {
    const guests = await makeGuests(at.api);
    const tab = await openTab(at.browser, await guests.link('ann', { role: 'owner' }));
    await press(tab.page, ']');
    await press(tab.page, 'f');
    await press(tab.page, 'Delete');
    expect(await readSelected(tab.page)).toBeNull();
    await press(tab.page, 'n');
    await eventually(async () => (await guests.state()).objects.length).toBe(1);
    await expectQuiet(tab);
    await guests.call('PUT', `/v1/spaces/${guests.space}/state?mode=merge`, {
      objects: Array.from({ length: 20_000 }, (_, i) => ({
        id: `o${i}`,
        position: { x: (i % 200) * 2, y: 0.5, z: Math.floor(i / 200) * 2 },
      })),
    });
    const second = await openTab(at.browser, await guests.link('ben'));
    expect(await second.page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(20_001);
    await waitUntilStill(second.page);
    // All committed: no object has a mark.
    await eventually(() => second.page.locator('#legend').textContent()).toContain('20,001 committed');
    expect(await second.page.evaluate(() => window.worldkeep?.stage.frames.at(-1)?.drawCalls)).toBeLessThan(
      20,
    );
    await expectQuiet(second);
    for (const { context } of [tab, second]) await context.close();
  });

  it('a lost picture is explained, and comes back', async () => {
    const { ann, close } = await openTwo();
    const { page } = ann;
    await page.evaluate(() => {
      const canvas = document.querySelector('canvas');
      Object.assign(window, { lost: canvas?.getContext('webgl2')?.getExtension('WEBGL_lose_context') });
      (Reflect.get(window, 'lost') as WEBGL_lose_context).loseContext();
    });
    await eventually(() => page.locator('#outage').textContent()).toContain('stopped drawing');
    await page.evaluate(() => (Reflect.get(window, 'lost') as WEBGL_lose_context).restoreContext());
    await eventually(() => page.locator('#outage').isHidden()).toBe(true);
    const frames = await page.evaluate(() => window.worldkeep?.stage.frames.length);
    await press(page, 'n');
    await eventually(() => page.evaluate(() => window.worldkeep?.stage.frames.length)).toBeGreaterThan(
      frames ?? 0,
    );
    await close();
  });
});
