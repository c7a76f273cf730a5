import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../dev/ports.ts';
import { type DevWorker, startWorker } from '../dev/worker.ts';
import { DOCS_ASSETS, DOCS_ASSETS_PATH } from '../functions/openapi/assets.ts';
import { ROUTES } from '../functions/routes/index.ts';
import { launchBrowser } from './browser.ts';
import { makeEnv } from './http/targets.ts';

describe('the page at /docs, under wrangler dev', () => {
  let folder: string;
  let worker: DevWorker;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'worldkeep-docs-'));
    worker = await startWorker({ dir: folder, port: await findFreePort(0), variables: makeEnv() });
  }, 90_000);
  afterAll(async () => {
    await worker?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('runs and loads nothing from other hosts', async () => {
    const response = await fetch(`${worker.url}/docs`);
    expect(response.status).toBe(200);
    const policy = response.headers.get('Content-Security-Policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const page = await response.text();
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
  });

  it('has its files in the same folder', async () => {
    for (const [name, type] of Object.entries(DOCS_ASSETS)) {
      const response = await fetch(`${worker.url}${DOCS_ASSETS_PATH}/${name}`);
      expect([name, response.status]).toEqual([name, 200]);
      expect(response.headers.get('X-Content-Type-Options')).toBe('nosniff');
      if (name.includes('.')) expect(response.headers.get('Content-Type')).toBe(type);
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(100);
    }
    const other = await fetch(`${worker.url}${DOCS_ASSETS_PATH}/index.html`);
    expect([other.status, other.headers.get('Content-Type')]).toEqual([404, 'application/problem+json']);
  });

  describe('in a browser', () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launchBrowser();
    });
    afterAll(() => browser?.close());

    it('shows every route, and asks no other host', async () => {
      const page = await browser.newPage({ viewport: { width: 1200, height: 1600 } });
      const asked: string[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(`${worker.url}/docs`);
      await page
        .locator('.opblock')
        .nth(ROUTES.length - 1)
        .waitFor();
      const shown = await page.locator('.opblock-summary').evaluateAll((blocks) =>
        blocks.map((block) => {
          const part = (name: string) => block.querySelector(`.opblock-summary-${name}`)?.textContent ?? '';
          return `${part('method').toLowerCase()} ${part('path').replaceAll('\u200b', '')}`;
        }),
      );
      expect(shown.toSorted()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted());
      await page.locator('.opblock-put .opblock-summary-control').first().click();
      await page.locator('.opblock-body .model-example').first().waitFor();
      if (process.env.DOCS_SCREENSHOT !== undefined)
        await page.screenshot({ path: process.env.DOCS_SCREENSHOT });
      expect(complaints).toEqual([]);
      const elsewhere = asked.filter((url) => !url.startsWith(worker.url) && !url.startsWith('data:'));
      expect(elsewhere).toEqual([]);
      expect(asked.length).toBeGreaterThan(3);
    });
  });
});
