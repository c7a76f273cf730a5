import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { makeGlb } from '../test/http/glb.ts';
import { makeGuests } from './testing/guests.ts';
import { usePage } from './testing/use-page.ts';
import {
  comparePictures,
  eventually,
  expectQuiet,
  openTab,
  project,
  readPicture,
  waitUntilStill,
} from './testing/visit.ts';

const QUOTA_BYTES = 100_000;
const at = usePage({ ASSET_QUOTA_BYTES: String(QUOTA_BYTES) });

/** Drops a file on a place of the view, as a file manager does. */
async function drop(
  page: Page,
  name: string,
  bytes: Uint8Array,
  place: { x: number; y: number },
): Promise<void> {
  const dataTransfer = await page.evaluateHandle(
    ([fileName, base64]) => {
      const transfer = new DataTransfer();
      const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      transfer.items.add(new File([content], fileName));
      return transfer;
    },
    [name, Buffer.from(bytes).toString('base64')] as const,
  );
  const event = { dataTransfer, clientX: place.x, clientY: place.y };
  await page.dispatchEvent('#view', 'dragover', event);
  await page.dispatchEvent('#view', 'drop', event);
}

const readModelIds = (page: Page) =>
  page.evaluate(() =>
    [...(window.worldkeep?.world.objects.values() ?? [])]
      .map(({ modelId }) => modelId)
      .filter((id) => id !== null),
  );

describe('a model', () => {
  it('that a person drops on the view is uploaded, placed there, and drawn by both browsers', async () => {
    const guests = await makeGuests(at.api);
    const [ann, ben] = await Promise.all([
      openTab(at.browser, await guests.link('ann')),
      openTab(at.browser, await guests.link('ben')),
    ]);
    for (const { page } of [ann, ben]) await waitUntilStill(page);
    const before = await readPicture(ben.page);
    const place = await project(ann.page, [2, 0, 3]);
    // A triangle of 6 m by 12 m.
    const sail = makeGlb({ json: { nodes: [{ mesh: 0, scale: [6, 6, 6] }] } });
    await drop(ann.page, 'sail.glb', sail, place);
    await eventually(() => ann.page.evaluate(() => window.worldkeep?.editor.selected?.name)).toBe('sail');
    const [modelId] = await readModelIds(ann.page);
    await eventually(() => readModelIds(ben.page)).toEqual([modelId]);
    await eventually(async () => (await guests.state()).objects.length).toBe(1);
    const [object] = (await guests.state()).objects;
    // As exact as a pixel of this small window.
    expect(object?.position.x).toBeCloseTo(2, 0);
    expect(object?.position.z).toBeCloseTo(3, 0);
    await eventually(() =>
      ben.page.evaluate(() => [...(window.worldkeep?.scenery.figures.values() ?? [])][0]?.parts.length),
    ).toBe(1);
    await waitUntilStill(ben.page);
    const part = comparePictures(before, await readPicture(ben.page));
    console.log(`the triangle of the model changes ${(part * 100).toFixed(1)} % of the picture`);
    expect(part).toBeGreaterThan(0.03);
    // The form of the new object opens when the upload has ended, which is long after the drop.
    await expectQuiet(ann, { mayJump: true });
    await expectQuiet(ben);
    for (const { context } of [ann, ben]) await context.close();
  });

  it('that cannot be taken is refused with a reason', async () => {
    const guests = await makeGuests(at.api);
    const tab = await openTab(at.browser, await guests.link('ann'));
    const { page } = tab;
    const notices = page.locator('#notices');
    const place = { x: 300, y: 300 };
    await drop(page, 'notes.txt', new TextEncoder().encode('notes'), place);
    await eventually(() => notices.textContent()).toContain('notes.txt is not a .glb or .gltf file');
    await drop(page, 'broken.glb', new TextEncoder().encode('no model'), place);
    await eventually(() => notices.textContent()).toMatch(/broken\.glb was not added\. .{10}/);
    await drop(page, 'large.glb', makeGlb({ filler: QUOTA_BYTES }), place);
    await eventually(() => notices.textContent()).toMatch(/large\.glb was not added\. .*bytes/);
    expect(await page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(0);
    // The button takes the same files.
    await page
      .locator('#model-file')
      .setInputFiles({ name: 'sail.glb', mimeType: '', buffer: Buffer.from(makeGlb()) });
    await eventually(() => readModelIds(page)).toHaveLength(1);
    await expectQuiet(tab, { allowed: /status of 4(00|13|15|22)/, mayJump: true });
    await tab.context.close();
  });

  it('that cannot be drawn shows a box and the reason, and everything else is drawn on', async () => {
    const guests = await makeGuests(at.api);
    const noNumbers = makeGlb();
    const view = new DataView(noNumbers.buffer, noNumbers.byteLength - 36);
    for (let i = 0; i < 9; i++) view.setFloat32(4 * i, Number.NaN, true);
    const many = { nodes: Array.from({ length: 2_001 }, () => ({ mesh: 0 })) };
    const scenes = [{ nodes: many.nodes.map((_, i) => i) }];
    const primitive = { attributes: { POSITION: 0 }, targets: [{ POSITION: 0 }] };
    const files = {
      morph: makeGlb({ json: { meshes: [{ primitives: [primitive] }] } }),
      far: makeGlb({ json: { nodes: [{ mesh: 0, translation: [1e30, 0, 0] }] } }),
      'no-numbers': noNumbers,
      many: makeGlb({ json: { ...many, scenes } }),
    };
    const upload = async (name: string, body: Uint8Array<ArrayBuffer>) => {
      const headers = { Authorization: `Bearer ${guests.key}`, 'Content-Type': 'model/gltf-binary' };
      const answer = await at.api.fetch(`/v1/models?name=${name}.glb`, { method: 'POST', headers, body });
      expect([name, answer.status, await answer.clone().text()]).toEqual([name, 201, expect.any(String)]);
      return ((await answer.json()) as { id: string }).id;
    };
    for (const [id, bytes] of Object.entries(files))
      await guests.call('PUT', `/v1/spaces/${guests.space}/objects/${id}`, {
        modelId: await upload(id, bytes),
      });
    const requests: string[] = [];
    const tab = await openTab(at.browser, await guests.link('ann'));
    const { page } = tab;
    page.on('request', (request) => void (request.url().endsWith('/file') && requests.push(request.url())));
    const problemOf = (id: string) =>
      page.evaluate((of) => window.worldkeep?.scenery.problemOf(of) ?? '', id);
    await eventually(() => problemOf('many')).toContain('2,001 parts, and may have 2,000');
    for (const id of ['far', 'no-numbers'])
      await eventually(() => problemOf(id)).toContain('10,000,000 metres');
    expect(await problemOf('morph')).toBe('');
    await waitUntilStill(page);
    await guests.call('PUT', `/v1/spaces/${guests.space}/objects/box`, {});
    await eventually(() =>
      page.evaluate(() => window.worldkeep?.scenery.figures.get('box')?.parts.length),
    ).toBe(1);
    await waitUntilStill(page);
    const { failure, camera } = await page.evaluate(() => ({
      failure: String(window.worldkeep?.stage.failure),
      camera: window.worldkeep?.stage.camera.position.toArray() ?? [],
    }));
    expect(failure).toBe('null');
    for (const number of camera) expect(Math.abs(number)).toBeLessThan(1_000);
    // A file that cannot be drawn is not loaded again.
    expect(requests.length).toBeLessThanOrEqual(Object.keys(files).length);
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('that is missing shows a box and the reason, until the server has it again', async () => {
    const guests = await makeGuests(at.api);
    const upload = await at.api.fetch('/v1/models?name=sail.glb', {
      method: 'POST',
      headers: { Authorization: `Bearer ${guests.key}`, 'Content-Type': 'model/gltf-binary' },
      body: makeGlb(),
    });
    const model = (await upload.json()) as { id: string };
    await guests.call('PUT', `/v1/spaces/${guests.space}/objects/sail`, { modelId: model.id });
    const tab = await openTab(at.browser, await guests.link('ann'));
    await tab.page.route('**/v1/models/*/file', (route) =>
      route.fulfill({ status: 404, json: { detail: 'It is gone.' } }),
    );
    await tab.page.reload();
    await tab.page.locator('#objects-panel > summary').click();
    await tab.page.locator('#found button').click();
    const problem = tab.page.locator('#model-problem');
    await eventually(() => problem.textContent()).toContain('Its model is not shown. It is gone.');
    await eventually(() =>
      tab.page.evaluate(() => window.worldkeep?.scenery.figures.get('sail')?.parts.length),
    ).toBe(1);
    // The answer of the server is there again: the next try shows the model.
    await tab.page.unroute('**/v1/models/*/file');
    await eventually(() => problem.isHidden()).toBe(true);
    await expectQuiet(tab, { allowed: /status of 404/ });
    await tab.context.close();
  });
});
