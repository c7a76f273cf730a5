import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, ConsoleMessage, Page } from 'playwright-core';
import { expect } from 'vitest';

/** Small, because tests draw without a graphics card. Wider than a phone, so that all panels are there. */
export const DESK = { width: 800, height: 480 };
export const PHONE = { width: 390, height: 720 };

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** The part of a window that may move after the page has loaded: as "good" needs at most 0.1, this is a fifth of it. */
const SHIFT_MAX = 0.02;

declare global {
  interface Window {
    /** All layout shifts since the world was loaded that follow no input. */
    shifts: { value: number; of: string }[];
    axe: {
      run(): Promise<{
        violations: { id: string; impact: string; nodes: { target: string[]; failureSummary: string }[] }[];
      }>;
    };
  }
}

/** Polls until an expectation holds. Longer than the default of a second, because other programs share the processors. */
export function eventually<Value>(read: () => Value) {
  return expect.poll(read, { timeout: 30_000 });
}

interface LayoutShift extends PerformanceEntry {
  value: number;
  hadRecentInput: boolean;
  sources: { node: Node | null; previousRect: DOMRect; currentRect: DOMRect }[];
}

/** One tab, with everything that went wrong in it. */
export interface Tab {
  page: Page;
  context: BrowserContext;
  /** Errors of the console and of the page, and violations of the content security policy. */
  problems: string[];
}

/** Opens a link in a new browser context, or in a context that has a tab already. */
export async function openTab(
  from: Browser | BrowserContext,
  link: string,
  { viewport = DESK, isLoaded = true }: { viewport?: typeof DESK; isLoaded?: boolean } = {},
): Promise<Tab> {
  const context = 'newContext' in from ? await from.newContext({ viewport }) : from;
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(describe(message));
  });
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.stack ?? error.message}`));
  await page.addInitScript(() => {
    window.shifts = [];
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      console.error(`content security policy: ${violatedDirective} ${blockedURI}`);
    });
    new PerformanceObserver((list) => {
      const loadedMs = performance.getEntriesByName('worldkeep:loaded')[0]?.startTime;
      for (const entry of list.getEntries() as LayoutShift[])
        if (loadedMs !== undefined && entry.startTime > loadedMs && !entry.hadRecentInput)
          window.shifts.push({
            value: entry.value,
            of: entry.sources
              .map(({ node, previousRect: { y: from }, currentRect: { y: to } }) => {
                const name = node instanceof Element ? node.id || node.tagName : node?.nodeName;
                return `${name} from ${from} to ${to} at ${Math.round(entry.startTime)}`;
              })
              .join(' '),
          });
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(link);
  if (isLoaded) await waitUntilLoaded(page);
  return { page, context, problems };
}

function describe(message: ConsoleMessage): string {
  const { url } = message.location();
  return `${message.text()}${url === '' ? '' : ` (${new URL(url, 'http://none').pathname})`}`;
}

/** Resolves when the page shows the world and its tools. */
export async function waitUntilLoaded(page: Page): Promise<void> {
  await page.waitForFunction(() => performance.getEntriesByName('worldkeep:loaded').length > 0, undefined, {
    timeout: 60_000,
  });
}

/**
 * Expects nothing in the console, and that no panel jumped.
 * @param allowed errors of a deliberate failure
 * @param mayJump whether the page opened something for the person more than half a second after an input
 */
export async function expectQuiet(
  { page, problems }: Tab,
  { allowed, mayJump = false }: { allowed?: RegExp; mayJump?: boolean } = {},
): Promise<void> {
  expect(problems.filter((problem) => !allowed?.test(problem))).toEqual([]);
  const shifts = await page.evaluate(() => window.shifts);
  const sum = shifts.reduce((total, { value }) => total + value, 0);
  if (!mayJump) expect(sum, JSON.stringify(shifts)).toBeLessThan(SHIFT_MAX);
}

/** Expects no serious fault of accessibility in what the page shows now. */
export async function expectAccessible(page: Page, state: string): Promise<void> {
  // A script element would need an exception of the content security policy.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  const found = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
    );
  expect(found, state).toEqual([]);
}

/** Where a point of the world is in the window. */
export function project(page: Page, [x, y, z]: [number, number, number]): Promise<{ x: number; y: number }> {
  return page.evaluate(
    ([x, y, z]) => {
      const { stage } = window.worldkeep as NonNullable<Window['worldkeep']>;
      return stage.project(stage.camera.position.clone().set(x, y, z));
    },
    [x, y, z] as const,
  );
}

/** Resolves after the page has drawn its next pictures, with all movements at their ends. */
export async function waitUntilStill(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const { stage, scenery } = window.worldkeep as NonNullable<Window['worldkeep']>;
    await scenery.settle();
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    for (let still = 0; still < 5; ) {
      const { length } = stage.frames;
      const last = stage.frames.at(-1);
      await frame();
      still = stage.frames.length === length && stage.frames.at(-1) === last ? still + 1 : 0;
    }
  });
}

/** The part of a desk's window that no panel covers. */
const FREE = { x: 0, y: 60, width: 460, height: 280 };

/** The pixels of the part of a window that no panel covers. */
export async function readPicture(page: Page): Promise<Picture> {
  const png = await page.screenshot({ scale: 'css', clip: FREE });
  return page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext('2d');
    context?.drawImage(image, 0, 0);
    return [...(context?.getImageData(0, 0, image.width, image.height).data ?? [])];
  }, png.toString('base64'));
}

type Picture = readonly number[];

/** The part of two pictures that differs by more than noise, from 0 to 1. */
export function comparePictures(a: Picture, b: Picture): number {
  expect(a.length).toBe(b.length);
  let different = 0;
  for (let i = 0; i < a.length; i += 4) {
    const by = [0, 1, 2].map((channel) => Math.abs((a[i + channel] ?? 0) - (b[i + channel] ?? 0)));
    if (Math.max(...by) > 24) different++;
  }
  return different / (a.length / 4);
}
