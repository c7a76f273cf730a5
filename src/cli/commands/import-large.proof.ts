import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import { contentOf, openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
beforeAll(async () => {
  at = await openWorkplace();
});
afterAll(() => at.close());

it('takes a world above what one piece of JSON may hold, and export gives it back', {
  timeout: 120_000,
}, async () => {
  const text = 'x'.repeat(60_000);
  const nodes = Array.from({ length: 600 }, (_, i) => ({ name: `n${i}`, extras: { text } }));
  await writeFile(join(at.folder, 'vast.gltf'), JSON.stringify({ asset: { version: '2.0' }, nodes }));
  const space = uniqueName('s');
  expect(await at.runJson('import', 'vast.gltf', '--space', space)).toMatchObject({ objects: 600 });
  await at.runJson('export', '--space', space, '-o', 'vast.json');
  const exported = JSON.parse(await readFile(join(at.folder, 'vast.json'), 'utf8'));
  expect(exported).toEqual(await at.loadState(space));
  expect(exported.objects[599].properties.extras.text).toBe(text);
  const again = uniqueName('s');
  expect(await at.runJson('import', 'vast.json', '--space', again)).toMatchObject({ objects: 600 });
  expect(contentOf(await at.loadState(again))).toEqual(contentOf(exported));
});
