/** `npm run screenshots`: makes the pictures of the operations page, while two spaces are written. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { startLocal } from '../dev/local.ts';
import { ANY_PORTS, makeTemporaryDir } from '../dev/stack.ts';
import { launchBrowser } from '../test/browser.ts';
import { startLoad } from './testing/load.ts';

const FOLDER = resolve(import.meta.dirname, '../docs/images');
const WINDOW = { width: 1_280, height: 900 };
/** Until the plots are full: two of their axis marks, and several counts of the processes. */
const LOAD_MS = 75_000;

const say = (line: string) => process.stderr.write(`${line}\n`);

const local = await startLocal({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  port: 0,
  ports: ANY_PORTS,
  signal: new AbortController().signal,
  log: say,
});
const browser = await launchBrowser();
try {
  const call = async (method: string, path: string, body?: unknown): Promise<void> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const answer = await fetch(local.url + path, {
      method,
      headers: { Authorization: `Bearer ${local.apiKey}`, 'Content-Type': type },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  for (const [space, name] of Object.entries({ harbour: 'Harbour', plaza: 'Plaza' }))
    await call('PUT', `/v1/spaces/${space}`, { name });
  const lamp = `/v1/spaces/${local.spaceId}/objects/lamp-1`;
  await call('PUT', lamp, { name: 'Lamp', position: { x: 4, y: 0, z: 2 }, properties: { lit: false } });
  await call('PATCH', lamp, { properties: { lit: true, power: 40 } });
  await call('PATCH', lamp, { name: 'Street lamp', position: { y: 2.5 } });
  const stream = await fetch(`${local.url}/v1/spaces/harbour/stream`, {
    headers: { Authorization: `Bearer ${local.apiKey}` },
  });
  const loads = [startLoad({ call }, ['harbour'], 60), startLoad({ call }, ['plaza'])];

  const page = await browser.newPage({ viewport: WINDOW, timezoneId: 'UTC', locale: 'en-GB' });
  await page.goto(`${local.url}/ops`);
  await page.locator('#key').fill(local.apiKey);
  await page.locator('#key').press('Enter');
  await page.locator('#plots figure').first().waitFor();
  await page.waitForTimeout(LOAD_MS);
  const save = async (name: string) => {
    const bytes = await page.screenshot({ type: 'png' });
    writeFileSync(join(FOLDER, `${name}.png`), bytes);
    say(`docs/images/${name}.png: ${Math.round(bytes.length / 1_024)} KB`);
  };
  await save('ops-overview');
  await page.locator('nav a[href="#objects"]').click();
  await page.locator('#objects-form [name="space"]').fill(local.spaceId);
  await page.locator('#objects-form [name="search"]').fill('lamp');
  await page.locator('#objects-form [type="submit"]').click();
  await page.locator('#object-table button[title="lamp-1"]').click();
  await page.locator('#object-audit tbody tr').first().waitFor();
  await save('ops-object');
  await Promise.all(loads.map((load) => load.stop()));
  await stream.body?.cancel();
  const failures = loads.flatMap((load) => load.failures);
  if (failures.length > 0) throw new Error(failures[0]);
} finally {
  await browser.close();
  await local.stop();
}
