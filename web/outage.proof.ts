import { rmSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { issueKey } from '../dev/first-world.ts';
import { findFreePort } from '../dev/ports.ts';
import { ANY_PORTS, makeTemporaryDir, type StackPorts, startStack } from '../dev/stack.ts';
import { buildWorkerVariables, startWorker } from '../dev/worker.ts';
import { migrate } from '../drizzle/migrate.ts';
import { startTcpProxy } from '../test/tcp-proxy.ts';
import { makeGuests } from './testing/guests.ts';
import { usePage } from './testing/use-page.ts';
import { eventually, expectQuiet, openTab } from './testing/visit.ts';

const at = usePage();

/** A server that is gone, or a Worker whose stores are gone. */
const OUTAGE = /net::ERR_|status of 50[0234]/;

const log = () => undefined;

/** Postgres, Redis, the emulators and the Worker, on data that stays. */
async function startAll(dir: string, ports: StackPorts, workerPort: number) {
  const stack = await startStack({ dir, ephemeral: false, ports, log });
  const { migrationUrl, databaseUrl } = stack.values;
  await migrate({ migrationUrl, appUrl: databaseUrl });
  const port = workerPort === 0 ? await findFreePort(0, new Set(Object.values(stack.ports))) : workerPort;
  const variables = buildWorkerVariables(stack.values);
  const worker = await startWorker({ dir, port, variables, onSpawn: stack.lock.record });
  return { stack, worker };
}

/** The people of a new tenant, on a Worker that is not the one of other tests. */
async function openGuests({ stack, worker }: Awaited<ReturnType<typeof startAll>>, tenantId: string) {
  const target = {
    address: { host: '127.0.0.1', port: worker.port },
    fetch: (path: string, init?: RequestInit) => fetch(new URL(path, worker.url), init),
  };
  return makeGuests(target, await issueKey(stack.values.databaseUrl, tenantId));
}

/** Edits the world as fast as a person who drags: an object of its own, and a new one from time to time. */
const startEdits = (page: Page, name: string) =>
  page.evaluate((prefix) => {
    const { world } = window.worldkeep as NonNullable<Window['worldkeep']>;
    const edits = { count: 0, timer: 0 };
    edits.timer = window.setInterval(() => {
      const x = ++edits.count / 100;
      world.move(`${prefix}-own`, { position: { x, y: 0, z: prefix === 'ann' ? 2 : -2 } });
      if (edits.count % 20 === 0) world.put(`${prefix}-${edits.count}`, { name: `${edits.count}` });
    }, 25);
    Object.assign(window, { edits });
  }, name);

/** @returns the number of edits */
const endEdits = (page: Page) =>
  page.evaluate(() => {
    const { timer, count } = Reflect.get(window, 'edits') as { timer: number; count: number };
    clearInterval(timer);
    return count;
  });

const countEdits = (page: Page) =>
  page.evaluate(() => (Reflect.get(window, 'edits') as { count: number }).count);
const readUnsent = (page: Page) => page.evaluate(() => window.worldkeep?.world.unsent ?? -1);
/** Objects as a page shows them, without the fields that only the server knows. */
const readWorld = (page: Page) =>
  page.evaluate(() =>
    Object.fromEntries(
      [...(window.worldkeep?.world.objects.values() ?? [])].map(({ id, name, position, properties, seq }) => [
        id,
        { name, position, properties, seq },
      ]),
    ),
  );

describe('an outage', () => {
  it('the Worker and both stores are killed in the middle of edits: both pages go on, and lose nothing', {
    timeout: 240_000,
  }, async () => {
    const dir = await makeTemporaryDir();
    let { stack, worker } = await startAll(dir, ANY_PORTS, 0);
    try {
      const guests = await openGuests({ stack, worker }, 'outage');
      for (const id of ['ann', 'ben'])
        await guests.call('PUT', `/v1/spaces/${guests.space}/objects/${id}-own`, { name: id });
      const [ann, ben] = await Promise.all([
        openTab(at.browser, await guests.link('ann')),
        openTab(at.browser, await guests.link('ben')),
      ]);
      const tabs = [ann, ben];
      await Promise.all([startEdits(ann.page, 'ann'), startEdits(ben.page, 'ben')]);
      await eventually(() => countEdits(ann.page)).toBeGreaterThan(40);

      await Promise.all([worker.kill(), stack.kill()]);
      const killedMs = performance.now();
      for (const { page } of tabs) {
        await eventually(() => page.locator('#outage').textContent()).toContain('The server does not answer');
        await eventually(() => page.locator('#outage').textContent()).toMatch(/changes? of yours waits? in/);
        expect(await page.locator('#status').textContent()).toContain('Offline');
      }
      const before = await countEdits(ann.page);
      await eventually(() => countEdits(ann.page)).toBeGreaterThan(before + 40);
      // The page still draws the person's own changes.
      await eventually(() =>
        ann.page.evaluate(() => window.worldkeep?.scenery.figures.get('ann-own')?.position.x),
      ).toBeGreaterThan(before / 100);

      ({ stack, worker } = await startAll(dir, stack.ports, worker.port));
      const backMs = performance.now();
      for (const { page } of tabs) await eventually(() => page.locator('#outage').isHidden()).toBe(true);
      const recoveredMs = performance.now();
      const [annEdits, benEdits] = [await endEdits(ann.page), await endEdits(ben.page)];
      for (const { page } of tabs) await eventually(() => readUnsent(page)).toBe(0);
      console.log(
        `${annEdits + benEdits} edits; the server was away for ${Math.round(backMs - killedMs)} ms; ` +
          `both pages were live ${Math.round(recoveredMs - backMs)} ms after it was back`,
      );

      const ids = [
        ...['ann-own', 'ben-own'],
        ...Array.from({ length: Math.floor(annEdits / 20) }, (_, i) => `ann-${(i + 1) * 20}`),
        ...Array.from({ length: Math.floor(benEdits / 20) }, (_, i) => `ben-${(i + 1) * 20}`),
      ].sort();
      const readState = async () =>
        Object.fromEntries(
          (await guests.state()).objects.map(({ id, name, position, properties, seq }) => [
            id,
            { name, position, properties, seq },
          ]),
        );
      await eventually(async () => Object.keys(await readState()).sort()).toEqual(ids);
      for (const { page } of tabs) await eventually(() => readWorld(page)).toEqual(await readState());
      const state = await readState();
      expect(state['ann-own']?.position).toEqual({ x: annEdits / 100, y: 0, z: 2 });
      expect(state['ben-own']?.position).toEqual({ x: benEdits / 100, y: 0, z: -2 });
      // No reload: the first load is the only navigation.
      for (const { page } of tabs)
        expect(await page.evaluate(() => performance.getEntriesByName('worldkeep:loaded').length)).toBe(1);
      for (const tab of tabs) {
        await expectQuiet(tab, { allowed: OUTAGE });
        await tab.context.close();
      }
    } finally {
      await worker.stop();
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('Redis alone is killed: the pages show what Postgres keeps, and are the same world afterwards', {
    timeout: 240_000,
  }, async () => {
    const dir = await makeTemporaryDir();
    const { stack, worker } = await startAll(dir, ANY_PORTS, 0);
    try {
      const guests = await openGuests({ stack, worker }, 'spilled');
      const ann = await openTab(at.browser, await guests.link('ann'));
      await eventually(() => readUnsent(ann.page)).toBe(0);
      await stack.redis.kill();
      const put = (page: Page, id: string) =>
        page.evaluate((name) => void window.worldkeep?.world.put(name, { name }), id);
      await put(ann.page, 'lamp');
      await eventually(() => ann.page.locator('#legend [data-level="spilled"]').textContent()).toBe(
        '1 spilled',
      );
      await eventually(() => ann.page.locator('#outage').textContent()).toMatch(
        /one of its stores is away.*Postgres keeps/,
      );
      // A person who comes now sees it too.
      const ben = await openTab(at.browser, await guests.link('ben'));
      const level = () => ben.page.evaluate(() => window.worldkeep?.world.durabilityOf('lamp'));
      await eventually(async () => Object.keys(await readWorld(ben.page))).toEqual(['lamp']);
      expect(await level()).toBe('spilled');

      await stack.restart('redis');
      for (const { page } of [ann, ben]) {
        await eventually(() => page.locator('#outage').isHidden()).toBe(true);
        await eventually(() => readUnsent(page)).toBe(0);
      }
      await put(ben.page, 'chair');
      for (const { page } of [ann, ben])
        await eventually(async () => Object.keys(await readWorld(page)).sort()).toEqual(['chair', 'lamp']);
      await eventually(level).toBe('committed');
      expect((await guests.state()).objects.map(({ id }) => id)).toEqual(['chair', 'lamp']);
      for (const tab of [ann, ben]) {
        await expectQuiet(tab, { allowed: OUTAGE });
        await tab.context.close();
      }
    } finally {
      await worker.stop();
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('changes of a closed tab arrive when the link is opened again', async () => {
    const guests = await makeGuests(at.api);
    const proxy = await startTcpProxy(at.api.address.port);
    const link = await guests.link('ann', { url: `http://127.0.0.1:${proxy.port}` });
    const tab = await openTab(at.browser, link);
    // The avatar of a new person is sent first.
    await eventually(() => readUnsent(tab.page)).toBe(0);
    proxy.inject({ kind: 'refuse' });
    for (let i = 0; i < 3; i++) await tab.page.locator('#create').click();
    await tab.page.locator('#object-form [name="name"]').fill('Unsent');
    await tab.page.locator('#object-form [name="name"]').press('Tab');
    await tab.page.locator('#text').fill('Later');
    await tab.page.locator('#text').press('Enter');
    await eventually(() => tab.page.locator('#messages').textContent()).toContain('Later (not sent yet)');
    await eventually(() => tab.page.locator('#outage').textContent()).toContain('also if you close the tab');
    const unsent = await readUnsent(tab.page);
    await eventually(() => countStored(tab.page)).toBe(unsent);
    await expectQuiet(tab, { allowed: OUTAGE });
    await tab.page.close();
    expect(await guests.state()).toMatchObject({ objects: [], chat: [] });

    proxy.clear();
    const again = await openTab(tab.context, link);
    await eventually(async () => (await guests.state()).objects.length).toBe(3);
    await eventually(async () => (await guests.state()).chat.map(({ text }) => text)).toEqual(['Later']);
    expect((await guests.state()).objects.filter(({ name }) => name === 'Unsent')).toHaveLength(1);
    await eventually(() => readUnsent(again.page)).toBe(0);
    await eventually(() => again.page.locator('#messages').textContent()).toBe('The ann: Later');
    await expectQuiet(again);
    await tab.context.close();
    await proxy.close();
  });
});

/** The changes that IndexedDB has. */
function countStored(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const [{ name = '' } = {}] = await indexedDB.databases();
    const open = indexedDB.open(name);
    const database = await new Promise<IDBDatabase>((resolve) => {
      open.onsuccess = () => resolve(open.result);
    });
    const count = database.transaction('outbox').objectStore('outbox').count();
    return new Promise<number>((resolve) => {
      count.onsuccess = () => resolve(count.result);
    }).finally(() => database.close());
  });
}
