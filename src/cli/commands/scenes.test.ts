import { join } from 'node:path';
import { describe } from 'vitest';
import { describeScenes } from '../testing/describe-scenes.ts';

describe('a scene', () => {
  describeScenes(join(import.meta.dirname, '../testing/scenes'), [
    ['market.gltf', 38],
    ['lantern.glb', 4],
    ['garden.spoke', 8],
  ]);
});
