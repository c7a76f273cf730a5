/** `npm run screenshots`: makes the pictures of docs/images from the first world of `npm run dev`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { startLocal } from '../dev/local.ts';
import { ANY_PORTS, makeTemporaryDir } from '../dev/stack.ts';
import { Api } from '../src/cli/api.ts';
import { createSignInLink } from '../src/cli/sign-in-link.ts';
import { launchBrowser } from '../test/browser.ts';
import { startTcpProxy } from '../test/tcp-proxy.ts';

const FOLDER = resolve(import.meta.dirname, '../docs/images');
const DESK = { width: 1_280, height: 720 };
const HALF = { width: 1_000, height: 680 };
const PHONE = { width: 390, height: 780 };
/** Of a JPEG: at most 300 KB for each picture. */
const QUALITY = 86;
/** Without a graphics card, the best picture takes a second. */
const STILL_MS = 60_000;

const say = (line: string) => process.stderr.write(`${line}\n`);

async function open(browser: Browser, link: string, viewport: typeof DESK, scale = 1): Promise<Page> {
  const context = await browser.newContext({ viewport, deviceScaleFactor: scale });
  const page = await context.newPage();
  await page.goto(link);
  await page.waitForFunction(() => performance.getEntriesByName('worldkeep:drawn').length > 0, undefined, {
    timeout: STILL_MS,
  });
  await page.waitForFunction(() => (window.worldkeep?.world.presence.users.length ?? 0) > 0);
  return page;
}

/** Places the camera, and waits until the page has drawn everything in its best quality. */
async function settle(page: Page, eye: Triple, target: Triple): Promise<void> {
  await page.evaluate(
    async ([[ex, ey, ez], [x, y, z], stillMs]) => {
      const { stage, scenery } = window.worldkeep as NonNullable<Window['worldkeep']>;
      await scenery.settle();
      stage.quality = 0;
      void stage.controls.setLookAt(ex, ey, ez, x, y, z, false);
      stage.invalidate();
      const endMs = performance.now() + stillMs;
      const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));
      for (let still = 0, last = stage.frames.at(-1); still < 4 && performance.now() < endMs; ) {
        await frame();
        still = stage.frames.at(-1) === last ? still + 1 : 0;
        last = stage.frames.at(-1);
        // A slow device lowers it.
        if (stage.quality !== 0) stage.quality = 0;
      }
    },
    [eye, target, STILL_MS] as const,
  );
}

type Triple = readonly [x: number, y: number, z: number];

async function save(page: Page, name: string): Promise<Buffer> {
  const bytes = await page.screenshot({ type: 'jpeg', quality: QUALITY });
  writeFileSync(join(FOLDER, `${name}.jpg`), bytes);
  say(`docs/images/${name}.jpg: ${Math.round(bytes.length / 1_024)} KB`);
  return bytes;
}

/** Puts the person's avatar at a place. @param turns about the vertical, of a whole turn */
async function stand(page: Page, [x, y, z]: Triple, turns: number): Promise<void> {
  await page.evaluate(
    ([place, angle]) =>
      void window.worldkeep?.world.moveAvatar({
        position: place,
        rotation: { x: 0, y: Math.sin(angle), z: 0, w: Math.cos(angle) },
      }),
    [{ x, y, z }, (turns * Math.PI) / 2] as const,
  );
}

async function talk(page: Page, text: string): Promise<void> {
  await page.locator('#text').fill(text);
  await page.locator('#text').press('Enter');
}

mkdirSync(FOLDER, { recursive: true });
const local = await startLocal({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  port: 0,
  ports: ANY_PORTS,
  signal: new AbortController().signal,
  log: say,
});
const browser = await launchBrowser();
const proxy = await startTcpProxy(Number(new URL(local.url).port));
try {
  const api = new Api(
    { url: local.url, apiKey: local.apiKey, keyFrom: 'the stack' },
    new AbortController().signal,
  );
  const link = async (userId: string, name: string, url = local.url) => {
    const person = { userId, nameIfNew: name, role: 'editor' as const, ttlSeconds: 3_600 };
    return (await createSignInLink(api, { url, space: local.spaceId, ...person })).link;
  };

  const ann = await open(browser, await link('ann', 'Ann'), DESK);
  await settle(ann, [15, 8, 19], [1, 1.5, 0]);
  await save(ann, 'world');

  await ann.setViewportSize(HALF);
  const ben = await open(browser, await link('ben', 'Ben'), HALF);
  await stand(ann, [2.2, 0, 5.4], -0.5);
  await stand(ben, [-2.2, 0, 5.4], 0.5);
  await talk(ann, 'Hello Ben! Shall we move the lamps?');
  await talk(ben, 'Yes, and put a torus here.');
  await settle(ann, [12, 6, 16], [3, 1, 1]);
  await settle(ben, [-8, 6, 17], [2, 1, 1]);
  const halves = [ann, ben].map((page) => page.screenshot({ type: 'png' }));
  const images = (await Promise.all(halves)).map(
    (bytes) => `data:image/png;base64,${bytes.toString('base64')}`,
  );
  const both = await browser.newPage({ viewport: { width: 1_400, height: 480 } });
  await both.setContent(
    `<body style="margin:0;padding:4px;display:flex;gap:8px;background:#0b0e14">${images
      .map((image) => `<img src="${image}" style="width:692px;height:auto;border-radius:6px" alt="">`)
      .join('')}</body>`,
  );
  await save(both, 'two-browsers');

  const away = await open(browser, await link('ann', 'Ann', `http://127.0.0.1:${proxy.port}`), DESK);
  proxy.inject({ kind: 'refuse' });
  await away.waitForFunction(() => window.worldkeep?.world.status === 'offline', undefined, {
    timeout: STILL_MS,
  });
  await settle(away, [15, 8, 19], [1, 1.5, 0]);
  for (let i = 0; i < 5; i++)
    await away.evaluate((n) => {
      window.worldkeep?.editor.create({
        position: { x: -3 + 1.6 * n, y: 0.5, z: 7 },
        properties: { shape: ['box', 'cone', 'sphere', 'cylinder', 'torus'][n] ?? 'box' },
      });
    }, i);
  await settle(away, [13, 7, 19], [1, 1.5, 2]);
  await save(away, 'outage');
  proxy.clear();
  await away.context().close();

  const phone = await open(browser, await link('ben', 'Ben'), PHONE, 2);
  await settle(phone, [11, 12, 22], [0, 0, 0]);
  await save(phone, 'phone');
} finally {
  await browser.close();
  await proxy.close();
  await local.stop();
}
