import { join } from 'node:path';
import { describe } from 'vitest';
import { describeScenes } from '../testing/describe-scenes.ts';

describe('a real scene, made by others', () => {
  describeScenes(join(import.meta.dirname, '../../../../shared/data/scenes'), [
    ['many-cubes.gltf', 506],
    ['hubs-test-scene.spoke', 29],
    ['duck.glb', 6],
    ['knight.glb', 1],
  ]);
});
