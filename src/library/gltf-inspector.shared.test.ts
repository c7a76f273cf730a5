import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getBounds, NodeIO } from '@gltf-transform/core';
import { expect, it } from 'vitest';
import { GltfInspector } from './gltf-inspector.ts';

const SCENES = join(import.meta.dirname, '../../../shared/data/scenes');

it('[A5] refuses a scene that names another file', () => {
  const file = readFileSync(join(SCENES, 'many-cubes.gltf'));
  const inspector = new GltfInspector(file.length);
  inspector.push(file);
  expect(() => inspector.finish()).toThrow('/buffers/0/uri names another file');
});

it.each(['duck.glb', 'knight.glb'])('counts %s as another reader of glTF does', async (name) => {
  const path = join(SCENES, name);
  expect(existsSync(path)).toBe(true);
  const file = readFileSync(path);
  const inspector = new GltfInspector(file.length);
  for (let at = 0; at < file.length; at += 65_536) inspector.push(file.subarray(at, at + 65_536));
  const { details } = inspector.finish();
  const document = await new NodeIO().read(path);
  const root = document.getRoot();
  expect(details).toMatchObject({
    nodes: root.listNodes().length,
    meshes: root.listMeshes().length,
    materials: root.listMaterials().length,
    textures: root.listTextures().length,
    animations: root.listAnimations().length,
    skins: root.listSkins().length,
  });
  const scene = root.getDefaultScene() ?? root.listScenes()[0];
  const { min, max } = getBounds(scene as NonNullable<typeof scene>);
  const box = details.boundingBox as Record<'min' | 'max', Record<'x' | 'y' | 'z', number>>;
  for (const [own, other] of [
    [box.min, min],
    [box.max, max],
  ] as const)
    for (const [i, axis] of (['x', 'y', 'z'] as const).entries())
      expect(own[axis]).toBeCloseTo(other[i] as number, 4);
});
