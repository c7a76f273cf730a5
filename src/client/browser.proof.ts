import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../test/browser.ts';
import { startNode } from '../../test/http/node-target.ts';
import { OVER_TCP } from '../../test/http/runtimes.ts';
import type { Target } from '../../test/http/targets.ts';
import { startTcpProxy, type TcpProxy } from '../../test/tcp-proxy.ts';
import type { World } from './index.ts';
import { makePlace, type Place } from './testing/place.ts';

/** The globals of a test page. */
declare global {
  interface Window {
    connect: typeof import('./index.ts').connect;
    world: World;
    errors: string[];
  }
}

let browser: Browser;
let pages: Server;
let pageUrl: string;
let api: Target;
let strict: Target;

beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { connect } from './index.ts'; window.connect = connect; window.errors = [];`,
      resolveDir: resolve(import.meta.dirname),
    },
    bundle: true,
    write: false,
    format: 'iife',
  });
  const script = outputFiles[0]?.text;
  pages = createServer((_, response) => {
    response.setHeader('Content-Type', 'text/html').end(`<!doctype html><script>${script}</script>`);
  });
  await new Promise<void>((listening) => pages.listen(0, '127.0.0.1', listening));
  pageUrl = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/`;
  [api, strict] = await Promise.all([
    startNode(OVER_TCP.makeEnv({ CORS_ALLOWED_ORIGINS: new URL(pageUrl).origin })),
    startNode(OVER_TCP.makeEnv({ CORS_ALLOWED_ORIGINS: 'https://play.example' })),
  ]);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  pages?.close();
  await Promise.all([api?.stop(), strict?.stop()]);
});

/** A browser with its own storage, and a server whose connections the test can break. */
async function openBrowser(userId = 'ann'): Promise<{
  place: Place;
  proxy: TcpProxy;
  context: BrowserContext;
  openTab(before?: string): Promise<Page>;
  close(): Promise<void>;
}> {
  const place = await makePlace(api);
  const proxy = await startTcpProxy(Number(new URL(place.url).port));
  const token = await place.join(userId);
  const context = await browser.newContext();
  const options = { url: `http://127.0.0.1:${proxy.port}`, space: place.space, token, batchMs: 5 };
  return {
    place,
    proxy,
    context,
    async openTab(before = '') {
      const page = await context.newPage();
      if (before !== '') await page.addInitScript(before);
      await page.goto(pageUrl);
      await page.evaluate((given) => {
        window.world = window.connect(given);
        window.world.on('error', ({ code }) => window.errors.push(code));
      }, options);
      return page;
    },
    async close() {
      await context.close();
      await proxy.close();
    },
  };
}

const ready = (page: Page) => page.evaluate(() => window.world.ready.then(() => true));
const readUnsent = (page: Page) => page.evaluate(() => window.world.unsent);
const readTexts = async (place: Place) => (await place.state()).chat.map(({ text }) => text);
/** Resolves when IndexedDB has every change that the page has made. */
const saved = (page: Page) =>
  page.evaluate(async () => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    const [{ name = '' } = {}] = await indexedDB.databases();
    const open = indexedDB.open(name);
    const database = await new Promise<IDBDatabase>((resolve) => {
      open.onsuccess = () => resolve(open.result);
    });
    const count = database.transaction('outbox').objectStore('outbox').count();
    return new Promise<number>((resolve) => {
      count.onsuccess = () => resolve(count.result);
    });
  });

describe('the SDK in Chromium', () => {
  it('[K4] changes of a closed tab arrive when the page is opened again', async () => {
    const { place, proxy, openTab, close } = await openBrowser();
    const tab = await openTab();
    await ready(tab);
    // The first request reaches the server, and its answer is lost with the tab.
    proxy.inject({ kind: 'drop-reply', match: 'POST' });
    await tab.evaluate(() => window.world.say('before'));
    await expect.poll(() => tab.evaluate(() => window.errors.includes('unreachable'))).toBe(true);
    proxy.inject({ kind: 'refuse' });
    await tab.evaluate(() => {
      for (let i = 0; i < 300; i++) window.world.put(`o${i}`, { name: `${i}` });
      window.world.say('after');
    });
    expect(await saved(tab)).toBeGreaterThan(0);
    await tab.close();
    expect((await place.state()).objects).toEqual([]);

    proxy.clear();
    const again = await openTab();
    await ready(again);
    await expect.poll(() => readUnsent(again)).toBe(0);
    await expect.poll(async () => (await place.state()).objects.length).toBe(300);
    await expect.poll(() => readTexts(place)).toEqual(['before', 'after']);
    await expect.poll(() => saved(again)).toBe(0);
    await close();
  });

  it('[K4a] an open tab takes over what a closed tab left', async () => {
    const { place, proxy, openTab, close } = await openBrowser();
    const [first, second] = [await openTab(), await openTab()];
    await Promise.all([ready(first), ready(second)]);
    proxy.inject({ kind: 'refuse' });
    await second.evaluate(() => window.world.say('left behind'));
    await saved(second);
    await second.close();
    proxy.clear();
    await expect.poll(() => readTexts(place), { timeout: 30_000 }).toEqual(['left behind']);
    await close();
  });

  it('of many tabs that open together, one sends what a closed tab left', async () => {
    const { place, proxy, context, openTab, close } = await openBrowser();
    const tab = await openTab();
    await ready(tab);
    proxy.inject({ kind: 'refuse' });
    await tab.evaluate(() => {
      for (let i = 0; i < 10; i++) window.world.say(`message ${i}`);
    });
    await saved(tab);
    await tab.close();
    proxy.clear();
    const tabs = await Promise.all(Array.from({ length: 5 }, () => openTab()));
    await expect.poll(async () => (await readTexts(place)).length).toBe(10);
    for (const each of tabs) await expect.poll(() => readUnsent(each)).toBe(0);
    expect(await readTexts(place)).toEqual(Array.from({ length: 10 }, (_, i) => `message ${i}`));
    expect(context.pages()).toHaveLength(5);
    await close();
  });

  it('a reload in the middle of a request neither loses nor repeats a change', async () => {
    const { place, openTab, close } = await openBrowser();
    let tab = await openTab();
    for (let i = 0; i < 8; i++) {
      await ready(tab);
      await tab.evaluate((text) => void window.world.say(text), `reload ${i}`);
      await saved(tab);
      await tab.close();
      tab = await openTab();
    }
    await ready(tab);
    await expect.poll(() => readUnsent(tab)).toBe(0);
    expect(await readTexts(place)).toEqual(Array.from({ length: 8 }, (_, i) => `reload ${i}`));
    await close();
  });

  it.each([
    ['blocked', `indexedDB.open = () => { throw new DOMException('blocked', 'SecurityError'); };`],
    [
      'full',
      `IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };`,
    ],
  ])('an IndexedDB that is %s is reported once, and changes still arrive', async (_, script) => {
    const { place, openTab, close } = await openBrowser();
    const tab = await openTab(script);
    await ready(tab);
    await tab.evaluate(() =>
      window.world
        .put('lamp')
        .reached('queued')
        .then(() => true),
    );
    await tab.evaluate(() =>
      window.world
        .say('Hello')
        .reached('queued')
        .then(() => true),
    );
    expect(await tab.evaluate(() => window.errors)).toEqual(['outbox_unavailable']);
    expect(await readTexts(place)).toEqual(['Hello']);
    await close();
  });

  it('a server that does not allow the origin is named, with the variable to set', async () => {
    const place = await makePlace(strict);
    const page = await browser.newPage();
    await page.goto(pageUrl);
    const error = await page.evaluate(
      (options) => {
        const world = window.connect(options);
        return new Promise<{ code: string; message: string }>((found) =>
          world.on('error', ({ code, message }) => found({ code, message })),
        );
      },
      { url: place.url, space: place.space, token: place.key },
    );
    expect(error.code).toBe('unreachable');
    expect(error.message).toContain('CORS_ALLOWED_ORIGINS');
    await page.close();
  });

  it('[K5] the token is in no URL', async () => {
    const { place, context, openTab, close } = await openBrowser();
    const urls: string[] = [];
    context.on('request', (request) => urls.push(request.url()));
    const tab = await openTab();
    await ready(tab);
    await tab.evaluate(() =>
      window.world
        .put('lamp')
        .reached('committed')
        .then(() => true),
    );
    expect(urls.some((url) => url.includes(`/v1/spaces/${place.space}/stream`))).toBe(true);
    expect(urls.filter((url) => /token|eyJ/.test(url))).toEqual([]);
    await close();
  });
});
