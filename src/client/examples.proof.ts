import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../test/browser.ts';
import { startNode } from '../../test/http/node-target.ts';
import { OVER_TCP } from '../../test/http/runtimes.ts';
import type { Target } from '../../test/http/targets.ts';
import { makePlace, type Place } from './testing/place.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../docs/examples');

/** Bundles a file of an example, as a reader's own tool does. The package is the one that `npm run prepare` has built. */
async function bundle(file: string, options: Parameters<typeof build>[0] = {}): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(EXAMPLES, file)],
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    ...options,
  });
  return outputFiles?.[0]?.text ?? '';
}

describe('the examples for browsers', () => {
  let browser: Browser;
  let pages: Server;
  let pageUrl: string;
  let api: Target;
  const scripts: Record<string, string> = {};

  beforeAll(async () => {
    [scripts['/three-js'], scripts['/react']] = await Promise.all([
      bundle('three-js/main.js'),
      bundle('react/main.jsx'),
    ]);
    pages = createServer(({ url = '' }, response) => {
      response
        .setHeader('Content-Type', 'text/html')
        .end(`<!doctype html><body><div id="root"></div><script type="module">${scripts[url]}</script>`);
    });
    await new Promise<void>((listening) => pages.listen(0, '127.0.0.1', listening));
    pageUrl = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    [api, browser] = await Promise.all([
      startNode(OVER_TCP.makeEnv({ CORS_ALLOWED_ORIGINS: pageUrl })),
      launchBrowser(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    pages?.close();
    await api?.stop();
  });

  async function open(
    name: string,
    place: Place,
    userId: string,
  ): Promise<{ page: Page; complaints: string[] }> {
    const page = await (await browser.newContext()).newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    const { url, space } = place;
    const token = await place.join(userId);
    await page.goto(`${pageUrl}/${name}#${new URLSearchParams({ url, space, token })}`);
    return { page, complaints };
  }

  it('React: two people see the same objects and messages', async () => {
    const place = await makePlace(api);
    const [ann, bob] = [await open('react', place, 'ann'), await open('react', place, 'bob')];
    await Promise.all([ann, bob].map(({ page }) => page.getByRole('heading', { name: 'live' }).waitFor()));
    await ann.page.getByRole('button', { name: 'Add a chair' }).click();
    await bob.page.getByText('Chair is at 0 m').waitFor();
    await bob.page.getByRole('button', { name: 'Move Chair' }).click();
    await ann.page.getByText('Chair is at 1 m').waitFor();
    await ann.page.getByLabel('Message').fill('Hello');
    await ann.page.getByLabel('Message').press('Enter');
    await bob.page.getByText('ann: Hello').waitFor();
    await ann.page.getByText('Here: ann, bob').waitFor();
    expect([...ann.complaints, ...bob.complaints]).toEqual([]);
    await Promise.all([ann, bob].map(({ page }) => page.context().close()));
  });

  /** The colour of one point of the page, as red, green and blue. */
  async function readPixel(page: Page, x: number, y: number): Promise<number[]> {
    const png = (await page.screenshot({ clip: { x, y, width: 1, height: 1 } })).toString('base64');
    return page.evaluate(async (source) => {
      const image = new Image();
      image.src = `data:image/png;base64,${source}`;
      await image.decode();
      const canvas = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D;
      canvas.drawImage(image, 0, 0);
      return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    }, png);
  }

  it('three.js: both pages show an object that enters, that one page drags, and that leaves', async () => {
    const BACKGROUND = [0x88, 0xaa, 0xcc];
    const place = await makePlace(api);
    const [ann, bob] = [await open('three-js', place, 'ann'), await open('three-js', place, 'bob')];
    const pages = [ann.page, bob.page];
    await Promise.all(pages.map((page) => page.waitForFunction(() => document.title.endsWith(': live'))));
    const { width, height } = ann.page.viewportSize() as { width: number; height: number };
    const [x, y] = [width / 2, height / 2];
    const aside = x + 200;
    /** Waits until both pages show a red box at one point only; null: at none. */
    const expectBox = async (at: number | null) => {
      for (const page of pages)
        for (const point of [x, aside]) {
          const read = async () => {
            const [red = 0, green = 0, blue = 0] = await readPixel(page, point, y);
            return red > 2 * green && red > 2 * blue ? 'box' : [red, green, blue];
          };
          await expect.poll(read).toEqual(point === at ? 'box' : BACKGROUND);
        }
    };
    const update = (op: object) => place.call('POST', `/v1/spaces/${place.space}/updates`, { ops: [op] });

    await expectBox(null);
    await update({ op: 'put', id: 'chair', properties: { color: 'tomato' } });
    await expectBox(x);
    await ann.page.mouse.move(x, y);
    await ann.page.mouse.down();
    await ann.page.mouse.move(aside, y, { steps: 20 });
    await ann.page.mouse.up();
    await expectBox(aside);
    const until = { timeout: 20_000 };
    await expect.poll(async () => (await place.state()).objects[0]?.position.x, until).toBeGreaterThan(2);
    await ann.page.keyboard.press('Delete');
    await expectBox(null);
    await ann.page.keyboard.press('n');
    await expect.poll(async () => (await place.state()).objects.length, until).toBe(1);
    expect([...ann.complaints, ...bob.complaints]).toEqual([]);
    await Promise.all(pages.map((page) => page.context().close()));
  });
});
