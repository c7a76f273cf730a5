import { describe, expect, it } from 'vitest';
import type { DeadOperation } from './batch.ts';
import { correctOperations } from './correct.ts';
import type { Operation } from './operation.ts';
import { replayEntry } from './replay.ts';
import type { JsonObject, WorldObject } from './types.ts';

const ZERO = { x: 0, y: 0, z: 0 };
const UPRIGHT = { x: 0, y: 0, z: 0, w: 1 };

function toDead(kind: DeadOperation['kind'], id: string, propertyKeys: string[] = []): DeadOperation {
  return { deadLetterId: `${kind}-${id}`, seq: 1, index: 0, kind, id, propertyKeys };
}

function toObject(id: string, properties: JsonObject): WorldObject {
  return {
    id,
    spaceId: 's',
    name: 'N',
    modelId: null,
    parentId: null,
    properties,
    position: ZERO,
    rotation: UPRIGHT,
    scale: { x: 1, y: 1, z: 1 },
    seq: 1,
    createdBy: null,
    updatedBy: null,
    createdAt: '',
    updatedAt: '',
  };
}

/** The avatar of a reader that saw the first entries and then the others. */
function replayAvatar(...steps: Operation[][]): JsonObject | undefined {
  const world = { objects: new Map(), avatars: new Map(), removed: new Map(), people: null };
  for (const [i, ops] of steps.entries())
    replayEntry(world, { seq: i + 1, prev: i, actor: null, ops, waits: false });
  return world.avatars.get('ann')?.properties;
}

describe('[D5] a correction for readers of the log', () => {
  it('puts an existing object once, and deletes a missing one', () => {
    const { id, name, modelId, parentId, position, rotation, scale, properties } = toObject('kept', { a: 1 });
    expect(
      correctOperations({
        dead: [toDead('object', 'gone'), toDead('object', 'kept'), toDead('object', 'kept')],
        objects: [toObject('kept', { a: 1 })],
        avatars: [],
      }),
    ).toEqual([
      { op: 'delete', id: 'gone' },
      { op: 'put', id, name, modelId, parentId, position, rotation, scale, properties },
    ]);
  });

  it('removes every member of a dead patch from an avatar, and keeps all others', () => {
    const kept = { hat: { size: 1 }, shoes: true };
    const dead: JsonObject = { hat: { size: 2, plume: { red: 1 } }, shoes: null, coat: 'x' };
    const operations = correctOperations({
      dead: [toDead('avatar', 'ann', ['hat', 'shoes']), toDead('avatar', 'ann', ['coat', 'hat'])],
      objects: [],
      avatars: [{ id: 'ann', position: ZERO, rotation: UPRIGHT, properties: kept }],
    });
    expect(operations).toEqual([
      { op: 'user.patch', id: 'ann', properties: { hat: null, shoes: null, coat: null } },
      { op: 'user.patch', id: 'ann', position: ZERO, rotation: UPRIGHT, properties: kept },
    ]);
    const seen: Operation[] = [{ op: 'user.patch', id: 'ann', properties: dead }];
    const before: Operation[] = [{ op: 'user.patch', id: 'ann', properties: kept }];
    expect(replayAvatar(before, seen)).not.toEqual(kept);
    expect(replayAvatar(before, seen, operations)).toEqual(kept);
    expect(replayAvatar(before, seen, operations, operations)).toEqual(kept);
    // A reader that saw only the end of the log has it too.
    expect(replayAvatar(operations)).toEqual(kept);
  });

  it('patches an avatar once if the dead operation gave no properties, and skips a missing avatar', () => {
    const avatar = { id: 'ann', position: ZERO, rotation: UPRIGHT, properties: {} };
    expect(
      correctOperations({
        dead: [toDead('avatar', 'ann'), toDead('avatar', 'bob', ['hat']), toDead('stage', 'stage')],
        objects: [],
        avatars: [avatar],
      }),
    ).toEqual([{ op: 'user.patch', ...avatar }]);
  });

  it('removes members with any name', () => {
    const [taken] = correctOperations({
      dead: [toDead('avatar', 'ann', ['toString', '__proto__'])],
      objects: [],
      avatars: [{ id: 'ann', position: ZERO, rotation: UPRIGHT, properties: {} }],
    });
    expect(JSON.stringify(taken)).toBe(
      '{"op":"user.patch","id":"ann","properties":{"toString":null,"__proto__":null}}',
    );
  });
});
