import { describe, expect, it } from 'vitest';
import type { WorldObject } from '../src/world/types.ts';
import { compareWorlds } from './compare-worlds.ts';

function makeObject(id: string, x = 0): WorldObject {
  return {
    id,
    spaceId: 'main',
    name: null,
    modelId: null,
    parentId: null,
    position: { x, y: 0, z: 0 },
    rotation: { x: 0, y: 0, z: 0, w: 1 },
    scale: { x: 1, y: 1, z: 1 },
    properties: {},
    seq: 1,
    createdBy: null,
    updatedBy: null,
    createdAt: '',
    updatedAt: '',
  };
}

describe('compareWorlds', () => {
  it('finds what is the same, missing, unexpected and different to the last bit', () => {
    const expected = new Map([
      ['same', [makeObject('same')]],
      ['moved', [makeObject('moved', 0.3)]],
      ['lost', [makeObject('lost')]],
      ['deleted', [null]],
    ]);
    const actual = [
      makeObject('same'),
      makeObject('moved', 0.1 + 0.2),
      makeObject('deleted'),
      makeObject('new'),
    ];
    expect(compareWorlds(expected, actual)).toEqual({
      objects: 2,
      values: 28,
      same: 1,
      missing: ['lost'],
      unexpected: ['deleted', 'new'],
      different: ['moved: position'],
    });
  });

  it('takes either outcome of a write that was under way', () => {
    const expected = new Map([
      ['a', [makeObject('a', 1), makeObject('a', 2)]],
      ['b', [makeObject('b'), null]],
    ]);
    expect(compareWorlds(expected, [makeObject('a', 2)])).toMatchObject({
      same: 1,
      missing: [],
      different: [],
    });
    expect(compareWorlds(expected, [makeObject('a', 3)])).toMatchObject({
      same: 0,
      different: ['a: position'],
    });
  });
});
