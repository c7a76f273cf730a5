import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { buildAssets } from '../../dev/build-assets.ts';
import { launchBrowser } from '../../test/browser.ts';
import { type NodeTarget, startNode } from '../../test/http/node-target.ts';
import { OVER_TCP } from '../../test/http/runtimes.ts';
import type { TargetEnv } from '../../test/http/targets.ts';

/** Chromium and a Node server that serves the built page, for all tests of a file. */
export function usePage(env: TargetEnv = {}): { readonly browser: Browser; readonly api: NodeTarget } {
  const at = {} as { browser: Browser; api: NodeTarget };
  beforeAll(async () => {
    await buildAssets();
    at.api = await startNode(OVER_TCP.makeEnv(env));
    at.browser = await launchBrowser();
  });
  afterAll(async () => {
    await at.browser?.close();
    await at.api?.stop();
  });
  return at;
}
