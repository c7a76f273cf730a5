import { access, readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import type { JsonObject } from '../../world/types.ts';
import { readScene } from '../formats/read-scene.ts';
import { contentOf, openWorkplace, type Workplace } from '../testing/workplace.ts';

const REAL_SCENES = join(import.meta.dirname, '../../../../shared/data/scenes');
const realScenes = await access(REAL_SCENES).then(
  () => true,
  () => false,
);

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, object[key] ?? null]));
}

let at: Workplace;
beforeAll(async () => {
  at = await openWorkplace();
});
afterAll(async () => {
  await at.close();
});

describe(`real scenes${realScenes ? '' : ' (skipped: ../shared/data/scenes is not there)'}`, () => {
  it.skipIf(!realScenes).each([
    ['many-cubes.gltf', 506],
    ['hubs-test-scene.spoke', 29],
    ['duck.glb', 6],
    ['knight.glb', 1],
  ])('%s: imported, exported and imported again is the same world', async (file, count) => {
    const [space, copy] = [uniqueName('s'), uniqueName('s')];
    expect(await at.runJson('import', join(REAL_SCENES, file), '--space', space)).toMatchObject({
      objects: count,
      normalisedRotations: 0,
    });
    await at.runJson('export', '--space', space, '-o', `${space}.json`);
    await at.runJson('import', `${space}.json`, '--space', copy);
    const [before, after] = [await at.loadState(space), await at.loadState(copy)];
    expect(before.objects).toHaveLength(count);
    const path = join(REAL_SCENES, file);
    const scene = await readScene(await readFile(path), { file, stem: parse(file).name });
    // As text, for −0 is kept as 0, and JSON writes both so.
    const fromFile = new Map((scene.world.objects as JsonObject[]).map((object) => [object.id, object]));
    for (const { id, name, parentId, position, rotation, scale } of before.objects)
      expect(JSON.stringify({ id, name, parentId, position, rotation, scale })).toBe(
        JSON.stringify(
          pick(fromFile.get(id) ?? {}, ['id', 'name', 'parentId', 'position', 'rotation', 'scale']),
        ),
      );
    expect(JSON.stringify(contentOf(after))).toBe(JSON.stringify(contentOf(before)));
  });
});
