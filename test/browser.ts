import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const FLAGS = [
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];

/** @throws if no browser is installed: this proof needs one */
function findBrowser(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = folders.flatMap((folder) => BROWSERS.map((name) => join(folder, name)));
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new Error(
      `No browser on PATH (${BROWSERS.join(', ')}): install one, for example "apt-get install chromium".`,
    );
  return path;
}

/** Starts the installed browser, without a window. @throws if none is installed */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findBrowser(), chromiumSandbox: false, args: FLAGS });
}
