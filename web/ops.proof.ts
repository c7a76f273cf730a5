import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startNode } from '../test/http/node-target.ts';
import { OVER_TCP } from '../test/http/runtimes.ts';
import { uniqueName } from '../test/support.ts';
import { startTcpProxy } from '../test/tcp-proxy.ts';
import { startLoad } from './testing/load.ts';
import { makeOperator, type Operator, openSection, signIn } from './testing/operator.ts';
import { usePage } from './testing/use-page.ts';
import { eventually, expectAccessible, expectQuiet, openTab, PHONE } from './testing/visit.ts';

const OPERATOR = uniqueName('operator');
const at = usePage({ DEFAULT_TENANT_ID: OPERATOR, METRICS_TOKEN: 'a-token-for-metrics-only' });

/** A browser says so in its console about each answer of this status. */
const answered = (status: number) => new RegExp(`status of ${status}`);

const textOf = (page: Page, selector: string) => page.locator(selector).textContent();
const rowsOf = (page: Page, section: string) => page.locator(`#${section} tbody tr`);

/** Everything that the browser could keep of this page, and the page itself. */
const readStored = (page: Page) =>
  page.evaluate(async () =>
    JSON.stringify([
      { ...localStorage },
      { ...sessionStorage },
      document.cookie,
      location.href,
      history.state,
      window.name,
      await indexedDB.databases(),
      await caches.keys(),
      document.documentElement.outerHTML,
      [...document.querySelectorAll('input')].map(({ value }) => value),
    ]),
  );

describe('the key', () => {
  it('is only in memory: in no storage, address or element, and a reload asks again', async () => {
    const operator = await makeOperator(at);
    const asked: string[] = [];
    const tab = await openTab(at.browser, `${operator.url}/ops`, { isLoaded: false });
    const { page, context } = tab;
    page.on('request', (request) => asked.push(request.url()));
    await expectAccessible(page, 'sign-in');
    await signIn(page, operator.key);
    await eventually(() => textOf(page, '#connection')).toContain('Live');
    await openSection(page, 'keys');
    await eventually(() => rowsOf(page, 'keys').count()).toBe(2);
    const secret = operator.key.slice(-43);
    expect(await readStored(page)).not.toContain(secret);
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.filter((url) => url.includes(secret))).toEqual([]);
    expect(await context.storageState()).toEqual({ cookies: [], origins: [] });

    await page.reload();
    expect(await page.locator('#sign-in').isVisible()).toBe(true);
    expect(await page.locator('#key').inputValue()).toBe('');
    // The page opens the section of the address again.
    await signIn(page, operator.key);
    await eventually(() => page.locator('#keys').isVisible()).toBe(true);

    await page.locator('#sign-out').click();
    expect(await page.locator('#ops').count()).toBe(0);
    expect(await readStored(page)).not.toContain(secret);
    const count = asked.length;
    await page.goBack();
    expect(await page.locator('#sign-in').isVisible()).toBe(true);
    expect(asked.slice(count).filter((url) => url.includes('/v1/'))).toEqual([]);
    await expectQuiet(tab);
    await context.close();
  });

  it('is refused if it is none, is unknown, or has no admin scope, and the page says which', async () => {
    const operator = await makeOperator(at);
    const tab = await openTab(at.browser, `${operator.url}/ops`, { isLoaded: false });
    const problem = () => textOf(tab.page, '#sign-in-problem');
    await signIn(tab.page, 'secret');
    await eventually(problem).toContain('no API key');
    await signIn(tab.page, `${operator.key.slice(0, -4)}none`);
    await eventually(problem).toContain('does not accept this key');
    await signIn(tab.page, await operator.tenant.apiKey(['read', 'write']));
    await eventually(problem).toContain('lacks the scope admin');
    await expectAccessible(tab.page, 'refused');
    expect(await tab.page.locator('#key').inputValue()).toBe('');
    await expectQuiet(tab, { allowed: /status of 40[13]/ });
    await tab.context.close();
  });

  it('that is revoked returns the page to the sign-in, without anything that it showed', async () => {
    const operator = await makeOperator(at);
    const { page, context } = await operator.open();
    await openSection(page, 'keys');
    await eventually(() => textOf(page, '#keys tbody')).toContain('(yours)');
    await page.locator('#keys tr', { hasText: '(yours)' }).locator('button').click();
    expect(await textOf(page, '#confirm-text')).toContain('you will be signed out');
    await page.locator('#confirm-yes').click();
    await eventually(() => textOf(page, '#sign-in-problem')).toContain('does not accept this key');
    expect(await page.locator('#ops').count()).toBe(0);
    await context.close();
  });
});

/** The pixels of each plot that have the colour of one of its lines. */
const countPlotted = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('figure')].map((figure) => {
      const canvas = figure.querySelector('canvas') as HTMLCanvasElement;
      const { data } = (canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(
        0,
        0,
        canvas.width,
        canvas.height,
      );
      const colors = [...figure.querySelectorAll('i')].map((swatch) =>
        (getComputedStyle(swatch).backgroundColor.match(/\d+/g) ?? []).map(Number),
      );
      let count = 0;
      for (let i = 0; i < data.length; i += 4)
        if (colors.some((color) => color.every((part, c) => Math.abs(part - (data[i + c] ?? 0)) < 24)))
          count++;
      return { title: figure.querySelector('b')?.textContent ?? '', count };
    }),
  );

const readValue = async (page: Page, label: string) => {
  const text = (await page.locator('#plots .values').allTextContents()).join(' ');
  return Number(new RegExp(`${label} ([\\d.,]+)`).exec(text)?.[1]?.replaceAll(',', '') ?? 'NaN');
};

describe('the overview', () => {
  it('plots the load of two spaces, for the operator also hit rate and latencies, and sorts spaces by activity', async () => {
    const operator = await makeOperator(at, OPERATOR);
    const second = uniqueName('second');
    await operator.call('PUT', `/v1/spaces/${second}`, { name: 'Second' });
    const load = startLoad(operator, [operator.space]);
    const heavier = startLoad(operator, [second], 60);
    const stream = await at.api.fetch(`/v1/spaces/${second}/stream`, {
      headers: { Authorization: `Bearer ${operator.key}` },
    });
    const tab = await operator.open();
    const { page } = tab;
    for (const label of ['updates/s', 'drained/s'])
      await eventually(() => readValue(page, label)).toBeGreaterThan(0);
    await eventually(() => readValue(page, 'streams')).toBe(1);
    // Processes add their counts every 10 s.
    await expect.poll(() => readValue(page, 'hits'), { timeout: 60_000 }).toBeGreaterThan(0);
    await expect
      .poll(async () => (await countPlotted(page)).filter(({ count }) => count < 20), { timeout: 60_000 })
      .toEqual([]);
    const plots = await countPlotted(page);
    console.log(plots.map(({ title, count }) => `${title}: ${count} pixels`).join(', '));
    console.log(
      `${await readValue(page, 'updates/s')} updates/s, p95 of updates ${await readValue(page, 'p95')} ms`,
    );
    expect(plots).toHaveLength(8);
    await eventually(() => page.locator('#active-spaces tbody tr td:first-child').allTextContents()).toEqual([
      second,
      operator.space,
    ]);
    expect(await textOf(page, '#stores')).toBe('Postgres answersRedis answers');
    await expectAccessible(page, 'overview under load');
    await page.locator(`#active-spaces button[aria-label="Objects of ${second}"]`).click();
    await eventually(() => textOf(page, '#objects-status')).toBe('60 of 60 objects loaded.');
    await Promise.all([load.stop(), heavier.stop()]);
    await stream.body?.cancel();
    expect([...load.failures, ...heavier.failures]).toEqual([]);
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('shows other tenants nothing of the deployment', async () => {
    const operator = await makeOperator(at);
    const { page, context } = await operator.open();
    await eventually(() => textOf(page, '#plots')).toContain('updates/s 0');
    expect(await textOf(page, '#figures')).not.toContain('all tenants');
    expect(await textOf(page, '#plots')).toContain('not counted for this key');
    await context.close();
  });

  it('says since when a store is away, also with the time, and goes on by itself', async () => {
    const stores = await OVER_TCP.openFragileStores();
    const api = await startNode(OVER_TCP.makeEnv(stores.env));
    try {
      const operator = await makeOperator({ browser: at.browser, api });
      const tab = await operator.open();
      const { page } = tab;
      await eventually(() => textOf(page, '#connection')).toContain('Live');
      stores.redis.inject('refuse');
      await eventually(() => textOf(page, '#connection')).toMatch(/Redis is away since .*\d:\d\d/);
      await eventually(() => page.locator('#stores time').getAttribute('title')).toMatch(/^\d{4}-.*Z$/);
      await expectAccessible(page, 'Redis is away');
      stores.redis.clear();
      await eventually(() => textOf(page, '#connection')).toContain('Live');

      // A process that does not know the key cannot look it up while Postgres is away.
      stores.postgres.inject('refuse');
      const unknown = { code: 'store_unavailable', detail: 'Postgres is away.' };
      await page.route('**/v1/operations', (route) => route.fulfill({ status: 503, json: unknown }));
      await eventually(() => textOf(page, '#overview-problem')).toBe('Postgres is away.');
      await eventually(() => textOf(page, '#stores')).toMatch(/Postgres away since .*\d:\d\d.*Redis answers/);
      stores.postgres.clear();
      await page.unroute('**/v1/operations');
      await eventually(() => textOf(page, '#connection')).toContain('Live');
      expect(await page.locator('#overview-problem').isVisible()).toBe(false);
      await expectQuiet(tab, { allowed: /status of 503/ });
      await tab.context.close();
    } finally {
      await api.stop();
      await stores.close();
    }
  });

  it('asks less often while the server is away, and not at all while the page is hidden', async () => {
    const operator = await makeOperator(at);
    const proxy = await startTcpProxy(at.api.address.port);
    const tab = await operator.open({ url: `http://127.0.0.1:${proxy.port}` });
    const { page } = tab;
    await eventually(() => textOf(page, '#connection')).toContain('Live');
    proxy.inject({ kind: 'refuse' });
    await eventually(() => textOf(page, '#connection')).toContain('Next try in 8 s');
    expect(await textOf(page, '#overview-problem')).toBe('The server does not answer.');
    await expectAccessible(page, 'the server is away');
    proxy.clear();
    await eventually(() => textOf(page, '#connection')).toContain('Live');
    expect(await page.locator('#overview-problem').isVisible()).toBe(false);

    const setVisibility = (state: string) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'visibilityState', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, state);
    await setVisibility('hidden');
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    // Twice as long as between two polls.
    await page.waitForTimeout(4_500);
    expect(asked).toEqual([]);
    await setVisibility('visible');
    await eventually(() => asked.length).toBeGreaterThan(0);
    await expectQuiet(tab, { allowed: /net::ERR_/ });
    await tab.context.close();
    await proxy.close();
  });
});

/** An object has room for one member of this length, but not for two. */
const LONG = 'x'.repeat(40_000);

async function makeDeadLetter({ call, space }: Operator, id: string): Promise<void> {
  const at = `/v1/spaces/${space}`;
  await call('PUT', `${at}/objects/${id}`, { properties: { a: LONG } });
  await call('POST', `${at}/updates`, { ops: [{ op: 'patch', id, properties: { b: LONG } }] });
  await eventually(async () => (await listLetters({ call })).some(({ op }) => op.id === id)).toBe(true);
}

const listLetters = async ({ call }: Pick<Operator, 'call'>) =>
  (await call<{ items: { op: { id: string }; replayedAt: string | null }[] }>('GET', '/v1/dead-letters'))
    .items;

describe('each section', () => {
  it('dead letters: shows them, replays and discards them, and asks before it discards', async () => {
    const operator = await makeOperator(at);
    await makeDeadLetter(operator, 'one');
    await makeDeadLetter(operator, 'two');
    const tab = await operator.open();
    const { page } = tab;
    await openSection(page, 'dead-letters');
    await eventually(() => rowsOf(page, 'dead-letters').count()).toBe(2);
    await expectAccessible(page, 'dead letters');
    const one = rowsOf(page, 'dead-letters').filter({ hasText: '"one"' });
    expect(await one.textContent()).toContain('23514');
    // Now there is room for the operation.
    await operator.call('PUT', `/v1/spaces/${operator.space}/objects/one`, { properties: {} });
    await one.getByRole('button', { name: /^Replay/ }).click();
    await eventually(() => textOf(page, '#notices')).toContain('one: applied');
    await eventually(async () =>
      (await listLetters(operator)).filter((letter) => letter.replayedAt),
    ).toHaveLength(1);
    const two = rowsOf(page, 'dead-letters').filter({ hasText: '"two"' });
    await two.getByRole('button', { name: /^Discard/ }).click();
    await expectAccessible(page, 'discard?');
    await page.keyboard.press('Escape');
    expect(await listLetters(operator)).toHaveLength(2);
    await two.getByRole('button', { name: /^Discard/ }).click();
    await page.locator('#confirm-yes').click();
    await eventually(() => rowsOf(page, 'dead-letters').count()).toBe(1);
    expect((await listLetters(operator)).map(({ op }) => op.id)).toEqual(['one']);
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('incidents and jobs: shows what the server recorded', async () => {
    const operator = await makeOperator(at);
    const path = `/v1/spaces/${operator.space}`;
    const { seq } = await operator.call<{ seq: number }>('POST', `${path}/updates`, {
      ops: [{ op: 'put', id: 'a' }],
    });
    // A reader who has seen more than the log has.
    await expect(operator.call('GET', `${path}/changes?since=${seq + 1_000_000}`)).rejects.toThrow('410');
    const tab = await operator.open();
    const { page } = tab;
    await openSection(page, 'incidents');
    await eventually(async () => {
      await page.locator('#incidents-form button').click();
      return textOf(page, '#incidents');
    }).toContain('reader_ahead');
    expect(await textOf(page, '#incidents tbody')).toContain(operator.space);
    await expectAccessible(page, 'incidents');
    await page.locator('#incidents-form [name="space"]').fill('another');
    await page.locator('#incidents-form button').click();
    await eventually(() => textOf(page, '#incidents')).toContain('No incidents.');
    await openSection(page, 'jobs');
    await eventually(() => textOf(page, '#jobs tbody')).toContain('cleanup');
    expect(await textOf(page, '#jobs tbody')).toContain('refresh-views');
    await expectAccessible(page, 'jobs');
    await openSection(page, 'spaces');
    await page.locator(`#spaces button[aria-label="Count of ${operator.space}"]`).click();
    await eventually(() => textOf(page, '#spaces tbody')).toContain('1 objects, 0 avatars');
    await expectAccessible(page, 'spaces');
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('keys: creates one, shows its secret once, and revokes it', async () => {
    const operator = await makeOperator(at);
    const tab = await operator.open();
    const { page, context } = tab;
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await openSection(page, 'keys');
    await eventually(() => rowsOf(page, 'keys').count()).toBe(2);
    await page.locator('#key-form [value="write"]').check();
    await page.locator('#key-form [type="submit"]').click();
    await eventually(() => textOf(page, '#new-key code')).toMatch(/^wk_/);
    const secret = (await textOf(page, '#new-key code')) ?? '';
    await eventually(() => rowsOf(page, 'keys').count()).toBe(3);
    await expectAccessible(page, 'a new key');
    await page.locator('#copy-key').click();
    await eventually(() => page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
    const ask = () =>
      at.api
        .fetch('/v1/spaces', { headers: { Authorization: `Bearer ${secret}` } })
        .then(({ status }) => status);
    expect(await ask()).toBe(200);
    // The secret goes when another section opens.
    await openSection(page, 'jobs');
    await openSection(page, 'keys');
    expect(await readStored(page)).not.toContain(secret);
    expect(await page.locator('#new-key').isVisible()).toBe(false);
    const { items } = await operator.call<{
      items: { id: string; scopes: string[]; revokedAt: string | null }[];
    }>('GET', '/v1/keys');
    const made = items.find(({ scopes }) => scopes.join() === 'read,write');
    await page.locator(`#keys button[aria-label="Revoke ${made?.id}"]`).click();
    await page.locator('#confirm-yes').click();
    await eventually(() => page.locator(`#keys button[aria-label="Revoke ${made?.id}"]`).count()).toBe(0);
    expect(await ask()).toBe(401);
    // A key without a scope is refused by the server, and the page says why.
    await page.locator('#key-form [value="read"]').uncheck();
    await page.locator('#key-form [type="submit"]').click();
    await eventually(() => textOf(page, '#key-problem')).toContain('must name at least one scope');
    await expectQuiet(tab, { allowed: answered(422) });
    await context.close();
  });

  it('people: finds them, exports one as a file, and erases one whose id is typed', async () => {
    const operator = await makeOperator(at);
    await operator.join('ann');
    await operator.join('ben');
    const tab = await operator.open();
    const { page } = tab;
    await openSection(page, 'people');
    await eventually(() => rowsOf(page, 'people').count()).toBe(2);
    await page.locator('#people-form input').fill('THE AN');
    await page.locator('#people-form input').press('Enter');
    await eventually(() => rowsOf(page, 'people').count()).toBe(1);
    await expectAccessible(page, 'people');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('#people button[aria-label="Export ann"]').click(),
    ]);
    expect(download.suggestedFilename()).toBe('ann.json');
    const exported = JSON.parse(readFileSync(await download.path(), 'utf8'));
    expect(exported).toMatchObject({ user: { id: 'ann', displayName: 'The ann' }, complete: true });

    await page.locator('#people button[aria-label="Erase ann"]').click();
    await expectAccessible(page, 'erase?');
    expect(await page.locator('#confirm-yes').isDisabled()).toBe(true);
    await page.locator('#confirm-typed').fill('an');
    await page.keyboard.press('Enter');
    expect(await page.locator('#confirm').isVisible()).toBe(true);
    await page.locator('#confirm-typed').fill('ann');
    await page.keyboard.press('Enter');
    await eventually(() => textOf(page, '#notices')).toContain('ann is erased.');
    await eventually(() => textOf(page, '#people')).toContain('Nobody was found.');
    await expect(operator.call('GET', '/v1/users/ann')).rejects.toThrow('404');
    await operator.call('GET', '/v1/users/ben');
    await expectQuiet(tab);
    await tab.context.close();
  });

  it('objects and audit: edits an object, shows its audit, and never overwrites the change of somebody else', async () => {
    const operator = await makeOperator(at);
    const { space, call } = operator;
    const path = `/v1/spaces/${space}/objects/lamp`;
    const name = '<img src=x onerror="alert(1)">';
    await call('PUT', path, { name, properties: { lit: true } });
    const tab = await operator.open();
    const { page } = tab;
    await openSection(page, 'objects');
    await eventually(() => textOf(page, '#object-table tbody')).toContain(name);
    await expectAccessible(page, 'objects');
    await page.locator('#object-table button').click();
    const field = (of: string) => page.locator(`#object-form [name="${of}"]`);
    await eventually(() => field('name').inputValue()).toBe(name);
    await expectAccessible(page, 'an object');
    await field('name').fill('Lamp');
    await field('position.y').fill('2.5');
    await field('properties').fill('{"lit": false, "power": 40}');
    await page.locator('#object-form [type="submit"]').click();
    await eventually(() => textOf(page, '#object-status')).toBe('Saved.');
    expect(await call('GET', path)).toMatchObject({
      name: 'Lamp',
      position: { x: 0, y: 2.5, z: 0 },
      properties: { lit: false, power: 40 },
    });
    await eventually(async () => {
      await page.locator('#reload-object').click();
      return textOf(page, '#object-audit');
    }).toMatch(/"power":\s*40/);

    // Somebody else changes the object that the dialog shows.
    await call('PUT', path, { name: 'Theirs' });
    await field('name').fill('Mine');
    await page.locator('#object-form [type="submit"]').click();
    await eventually(() => textOf(page, '#object-problem')).toContain('Somebody else changed this object');
    await expectAccessible(page, 'a conflict');
    expect(await call('GET', path)).toMatchObject({ name: 'Theirs' });
    await page.locator('#reload-object').click();
    await eventually(() => field('name').inputValue()).toBe('Theirs');
    await field('position.x').fill('far');
    await page.locator('#object-form [type="submit"]').click();
    await eventually(() => textOf(page, '#object-problem')).toContain(
      '"far" in the field position.x is no number',
    );
    await page.locator('#close-object').click();
    await eventually(() => textOf(page, '#object-table tbody')).toContain('Theirs');

    await openSection(page, 'audit');
    await page.locator('#audit-form [name="object"]').fill('lamp');
    await page.locator('#audit-form [type="submit"]').click();
    await eventually(() => rowsOf(page, 'audit').count()).toBeGreaterThanOrEqual(3);
    expect(await textOf(page, '#audit tbody')).toContain('world_objects');
    await expectAccessible(page, 'audit');

    await openSection(page, 'objects');
    await page.locator('#object-table button').click();
    await eventually(() => field('name').inputValue()).toBe('Theirs');
    await page.locator('#delete-object').click();
    await page.locator('#confirm-yes').click();
    await eventually(() => textOf(page, '#notices')).toContain('lamp is deleted.');
    await expect(call('GET', path)).rejects.toThrow('404');
    await eventually(() => textOf(page, '#objects-status')).toBe('0 of 0 objects loaded.');
    await expectQuiet(tab, { allowed: answered(412) });
    await tab.context.close();
  });
});

/** `OPS_OBJECTS=100000` measures a larger space. */
const OBJECTS = Number(process.env.OPS_OBJECTS ?? 20_000);
const ROWS_MAX = 200;
const LIGHTHOUSE_EVERY = 5_000;

describe('a space of 20,000 objects', () => {
  it('scrolls with few rows in the page, to the last object too, and is searched', async () => {
    const operator = await makeOperator(at);
    const idOf = (i: number) => `object-${String(i).padStart(6, '0')}`;
    const isLighthouse = (i: number) => i % LIGHTHOUSE_EVERY === LIGHTHOUSE_EVERY - 1;
    const objects = Array.from({ length: OBJECTS }, (_, i) => ({
      id: idOf(i),
      name: `${isLighthouse(i) ? 'Lighthouse' : 'Object'} ${i}`,
      position: { x: i, y: 0, z: 0 },
    }));
    const all = `${OBJECTS.toLocaleString()} of ${OBJECTS.toLocaleString()} objects`;
    await operator.call('PUT', `/v1/spaces/${operator.space}/state?mode=merge`, { objects });
    const path = `/v1/spaces/${operator.space}/statistics`;
    // A large save may be answered before it is committed.
    await eventually(async () => (await operator.call<{ objects: number }>('GET', path)).objects).toBe(
      OBJECTS,
    );
    const tab = await operator.open();
    const { page } = tab;
    await openSection(page, 'objects');
    await eventually(() => textOf(page, '#objects-status')).toContain(
      `of ${OBJECTS.toLocaleString()} objects loaded`,
    );
    const scroll = (top: number) =>
      page.locator('#object-scroll').evaluate((element, to) => {
        element.scrollTop = to;
      }, top);
    let rowsMax = 0;
    const countRows = async () => {
      rowsMax = Math.max(rowsMax, await rowsOf(page, 'objects').count());
    };
    for (let top = 0; top < 60_000; top += 1_500) {
      await scroll(top);
      await countRows();
    }
    await scroll(OBJECTS * 100);
    const startedMs = performance.now();
    await eventually(() => textOf(page, '#object-table tbody')).toContain(idOf(OBJECTS - 1));
    const endMs = performance.now() - startedMs;
    await countRows();
    expect(await textOf(page, '#objects-status')).toBe(`${all} loaded.`);
    await expectAccessible(page, 'many objects');
    await page.locator('#objects-form [name="search"]').fill('LIGHTHOUSE');
    const lighthouses = objects.flatMap(({ id }, i) => (isLighthouse(i) ? [id] : []));
    await eventually(() => textOf(page, '#objects-status')).toBe(
      `${lighthouses.length} found by id and name in ${all}.`,
    );
    await eventually(() => page.locator('#object-table button').allTextContents()).toEqual(lighthouses);
    await countRows();
    expect(rowsMax).toBeLessThan(ROWS_MAX);
    console.log(
      `${OBJECTS} objects: at most ${rowsMax} rows; the last object was there ${Math.round(endMs)} ms after the jump`,
    );
    await page.locator('#objects-form [name="search"]').fill(idOf(12_345));
    await page.locator('#open-exact').click();
    await eventually(() => textOf(page, '#object-title')).toContain(idOf(12_345));
    await expectQuiet(tab);
    await tab.context.close();
  });
});

describe('by keyboard, and on a phone', () => {
  it('a person opens sections, an object and a dialog without a mouse', async () => {
    const operator = await makeOperator(at);
    await operator.call('PUT', `/v1/spaces/${operator.space}/objects/lamp`, { name: 'Lamp' });
    const { page, context } = await operator.open();
    await page.locator('nav a[href="#objects"]').focus();
    await page.keyboard.press('Enter');
    await eventually(() => page.evaluate(() => document.activeElement?.id)).toBe('objects-title');
    await eventually(() => textOf(page, '#object-table tbody')).toContain('Lamp');
    const reached: string[] = [];
    for (let i = 0; i < 12 && !reached.includes('lamp'); i++) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(() => {
          const element = document.activeElement as HTMLElement;
          return element.getAttribute('name') ?? (element.textContent?.trim() || element.id);
        }),
      );
    }
    expect(reached).toEqual(expect.arrayContaining(['space', 'search', 'Show', 'lamp']));
    await page.keyboard.press('Enter');
    await eventually(() => page.locator('#object-dialog').isVisible()).toBe(true);
    await page.keyboard.press('Escape');
    expect(await page.locator('#object-dialog').isVisible()).toBe(false);
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('lamp');
    await context.close();
  });

  it('no section is wider than a phone', async () => {
    const operator = await makeOperator(at);
    await operator.join('ann');
    const tab = await operator.open({ viewport: PHONE });
    const { page } = tab;
    for (const name of await page
      .locator('nav a')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''))) {
      await openSection(page, name.slice(1));
      const width = () => page.evaluate(() => document.documentElement.scrollWidth);
      await eventually(width).toBeLessThanOrEqual(PHONE.width);
      await expectAccessible(page, `${name} on a phone`);
    }
    await expectQuiet(tab);
    await tab.context.close();
  });
});
