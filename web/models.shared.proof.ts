import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runHere } from '../src/cli/testing/run-here.ts';
import { makeGuests } from './testing/guests.ts';
import { usePage } from './testing/use-page.ts';
import {
  comparePictures,
  eventually,
  expectQuiet,
  openTab,
  readPicture,
  waitUntilStill,
} from './testing/visit.ts';

const SCENES = join(import.meta.dirname, '../../shared/data/scenes');
const at = usePage();

interface Accessor {
  bufferView: number;
  min: number[];
  max: number[];
}

interface Gltf {
  meshes: { primitives: { indices: number; attributes: { POSITION: number; NORMAL: number } }[] }[];
  accessors: Accessor[];
  bufferViews: { byteOffset?: number }[];
  buffers: { byteLength: number }[];
}

/** The scene comes without its buffer. Each of its meshes is a cube: four corners and two triangles for each of six sides. */
function makeCubes({ meshes, accessors, bufferViews, buffers }: Gltf): Uint8Array {
  const bytes = new Uint8Array(buffers[0]?.byteLength ?? 0);
  const view = new DataView(bytes.buffer);
  const startOf = (accessor: number) => bufferViews[accessors[accessor]?.bufferView ?? -1]?.byteOffset ?? 0;
  for (const { primitives } of meshes)
    for (const { indices, attributes } of primitives) {
      const { min, max } = accessors[attributes.POSITION] as Accessor;
      let vertex = 0;
      for (let axis = 0; axis < 3; axis++)
        for (const end of [0, 1]) {
          const turns = end === 1 ? [0, 1, 2, 0, 2, 3] : [0, 2, 1, 0, 3, 2];
          const side = 2 * axis + end;
          for (const [i, corner] of turns.entries())
            bytes[startOf(indices) + side * 6 + i] = side * 4 + corner;
          for (const [u, v] of [
            [0, 0],
            [1, 0],
            [1, 1],
            [0, 1],
          ] as const) {
            const ends = [0, 0, 0];
            [ends[axis], ends[(axis + 1) % 3], ends[(axis + 2) % 3]] = [end, u, v];
            for (let i = 0; i < 3; i++) {
              const at = vertex * 12 + i * 4;
              view.setFloat32(
                startOf(attributes.POSITION) + at,
                (ends[i] === 1 ? max[i] : min[i]) ?? 0,
                true,
              );
              view.setFloat32(startOf(attributes.NORMAL) + at, i === axis ? 2 * end - 1 : 0, true);
            }
            vertex++;
          }
        }
    }
  return bytes;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worldkeep-page-'));
  for (const file of ['duck.glb', 'many-cubes.gltf'])
    await writeFile(join(folder, file), await readFile(join(SCENES, file)));
  await writeFile(
    join(folder, 'many-cubes.bin'),
    makeCubes(JSON.parse(await readFile(join(SCENES, 'many-cubes.gltf'), 'utf8'))),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  // The part of the picture that the objects cover, at least.
  ['many-cubes.gltf', 506, 501, 0.05],
  ['duck.glb', 6, 1, 0.02],
])('%s is drawn after an import with models', async (file, nodes, meshes, coveredMin) => {
  const guests = await makeGuests(at.api);
  const { code, stderr } = await runHere(['import', file, '--space', guests.space, '--with-models'], {
    env: { WORLDKEEP_URL: guests.url, WORLDKEEP_API_KEY: guests.key },
    cwd: folder,
  });
  expect(code, stderr).toBe(0);
  const tab = await openTab(at.browser, await guests.link('ann'));
  const { page } = tab;
  await eventually(() => page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(nodes);
  await waitUntilStill(page);
  const read = await page.evaluate(() => {
    const { scenery, stage } = window.worldkeep as NonNullable<Window['worldkeep']>;
    const figures = [...scenery.figures.values()];
    return {
      drawn: figures.filter(({ parts }) => parts.length > 0).length,
      problems: figures.map(({ id }) => scenery.problemOf(id)).filter((problem) => problem !== null),
      drawCalls: stage.frames.at(-1)?.drawCalls,
    };
  });
  expect(read.problems).toEqual([]);
  expect(read.drawn).toBe(meshes);
  expect(read.drawCalls).toBeLessThan(30);
  const picture = await readPicture(page);

  // The same view of the same world without its objects.
  await guests.call('PUT', `/v1/spaces/${guests.space}/state`, { objects: [] });
  await eventually(() => page.evaluate(() => window.worldkeep?.world.objects.size)).toBe(0);
  await waitUntilStill(page);
  const covered = comparePictures(picture, await readPicture(page));
  console.log(`${file}: ${read.drawCalls} draw calls, ${(covered * 100).toFixed(1)} % of the picture`);
  expect(covered).toBeGreaterThan(coveredMin);
  await expectQuiet(tab);
  await tab.context.close();
});
