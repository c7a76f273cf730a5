import { readFile, writeFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { NodeIO } from '@gltf-transform/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import { readAppearance } from '../testing/appearance.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

const SCENES = join(import.meta.dirname, '../../../../shared/data/scenes');

interface Accessor {
  bufferView: number;
  componentType: number;
  count: number;
  type: string;
  min?: number[];
  max?: number[];
}

/** The scene comes without its buffer. This one has the accessors' least and greatest values, so the boxes are right. */
function makeBuffer(gltf: {
  accessors: Accessor[];
  bufferViews: { byteOffset?: number }[];
  buffers: { byteLength: number }[];
}): Uint8Array {
  const bytes = new Uint8Array(gltf.buffers[0]?.byteLength ?? 0);
  const view = new DataView(bytes.buffer);
  for (const { bufferView, componentType, type, min = [], max = [] } of gltf.accessors) {
    if (componentType !== 5126 || type !== 'VEC3') continue;
    const start = gltf.bufferViews[bufferView]?.byteOffset ?? 0;
    for (const [index, value] of [...min, ...max].entries()) view.setFloat32(start + index * 4, value, true);
  }
  return bytes;
}

describe('a real scene with its shapes', () => {
  let at: Workplace;
  beforeAll(async () => {
    at = await openWorkplace();
    for (const file of ['duck.glb', 'knight.glb', 'many-cubes.gltf'])
      await writeFile(join(at.folder, file), await readFile(join(SCENES, file)));
    const cubes = JSON.parse(await readFile(join(SCENES, 'many-cubes.gltf'), 'utf8'));
    await writeFile(join(at.folder, 'many-cubes.bin'), makeBuffer(cubes));
  });
  afterAll(() => at.close());

  it.each([
    ['duck.glb', 6, 1],
    ['knight.glb', 1, 1],
    ['many-cubes.gltf', 506, 501],
  ])('%s looks the same after import and export', async (file, nodes, meshes) => {
    const io = new NodeIO();
    const before = await readAppearance(await io.writeBinary(await io.read(join(at.folder, file))));
    expect(before).toMatchObject({ nodes, meshes });
    expect(before.bounds.every(Number.isFinite)).toBe(true);
    const space = uniqueName('s');
    await at.runJson('import', file, '--space', space, '--with-models');
    const copy = `${parse(file).name}-copy.glb`;
    await at.runJson('export', '--space', space, '--format', 'gltf', '--with-models', '-o', copy);
    expect(await readAppearance(await readFile(join(at.folder, copy)))).toEqual(before);
  });
});
