import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eulerToQuaternion } from '../../world/quaternion.ts';
import type { ObjectInput } from '../../world/types.ts';
import { readScene } from './read-scene.ts';
import { SceneError } from './scene.ts';

type Json = Record<string, unknown>;

function transform(props: Json): Json {
  return { name: 'transform', props };
}

function scene(entities: Json, others: Json = {}): Json {
  return {
    version: 8,
    root: 'root',
    metadata: { name: 'Plaza' },
    entities: { root: { name: 'Plaza' }, ...entities },
    ...others,
  };
}

async function read(json: unknown) {
  const bytes = new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json));
  return readScene(bytes, { file: 'plaza.spoke', stem: 'plaza' });
}

async function messageOf(json: unknown): Promise<string> {
  const error = await read(json).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SceneError);
  return (error as SceneError).message;
}

const lamp = {
  name: 'Lamp',
  parent: 'root',
  index: 3,
  attached: true,
  components: [
    { name: 'visible', props: { visible: true } },
    transform({
      position: { x: 1, y: 2, z: 3 },
      rotation: { x: 0.1, y: -0.2, z: 0.3 },
      scale: { x: 2, y: 2, z: 0.1 },
    }),
    { name: 'point-light', props: { color: '#fff' } },
  ],
};

describe('reading a Hubs scene', () => {
  it('makes an object of every entity, the root too', async () => {
    const { world, objects, format, space } = await read(scene({ lamp }));
    expect({ objects, format, space }).toEqual({ objects: 2, format: 'spoke', space: { name: 'Plaza' } });
    const [root, object] = world.objects as unknown as ObjectInput[];
    expect(root).toEqual({
      id: 'root',
      name: 'Plaza',
      modelId: null,
      parentId: null,
      position: { x: 0, y: 0, z: 0 },
      rotation: { x: 0, y: 0, z: 0, w: 1 },
      scale: { x: 1, y: 1, z: 1 },
      properties: { spoke: { components: [], root: true, version: 8, metadata: { name: 'Plaza' } } },
    });
    expect(object).toMatchObject({
      id: 'lamp',
      parentId: 'root',
      position: { x: 1, y: 2, z: 3 },
      scale: { x: 2, y: 2, z: 0.1 },
      properties: {
        spoke: {
          index: 3,
          euler: { x: 0.1, y: -0.2, z: 0.3 },
          components: [lamp.components[0], lamp.components[2]],
          other: { attached: true },
        },
      },
    });
  });

  it('is read of every version from 3 to 9, components and unknown members as they are', async () => {
    for (const version of [3, 4, 5, 6, 7, 8, 9]) {
      const visible = { name: 'visible', props: version === 3 ? { value: true } : { visible: true } };
      const entities = { a: { name: 'A', parent: 'root', index: 0, components: [visible, transform({})] } };
      const { world, objects, notPreserved } = await read(scene(entities, { version, origin: 'somewhere' }));
      expect([objects, notPreserved]).toEqual([2, []]);
      const properties = (world.objects as unknown as ObjectInput[]).map((object) => object.properties.spoke);
      expect(properties).toMatchObject([
        { root: true, version, file: { origin: 'somewhere' } },
        { index: 0, components: [visible] },
      ]);
    }
  });

  it('turns Euler angles into the rotation about x, then y, then z of the body', () => {
    type Q = [number, number, number, number];
    const times = ([ax, ay, az, aw]: Q, [bx, by, bz, bw]: Q): Q => [
      aw * bx + ax * bw + ay * bz - az * by,
      aw * by - ax * bz + ay * bw + az * bx,
      aw * bz + ax * by - ay * bx + az * bw,
      aw * bw - ax * bx - ay * by - az * bz,
    ];
    const about = (axis: 0 | 1 | 2, angle: number): Q => {
      const turned: Q = [0, 0, 0, Math.cos(angle / 2)];
      turned[axis] = Math.sin(angle / 2);
      return turned;
    };
    const angle = fc.double({ min: -10, max: 10, noNaN: true });
    fc.assert(
      fc.property(angle, angle, angle, (x, y, z) => {
        const wanted = times(times(about(0, x), about(1, y)), about(2, z));
        const got = eulerToQuaternion({ x, y, z });
        for (const [i, value] of [got.x, got.y, got.z, got.w].entries())
          expect(Math.abs(value - (wanted[i] ?? Number.NaN))).toBeLessThan(1e-12);
      }),
    );
  });

  it('names the space after the file where the scene has no name', async () => {
    expect((await read(scene({}, { metadata: {} }))).space).toEqual({ name: 'plaza' });
  });
});

describe('reading a broken Hubs scene names the file, the entity and the error', () => {
  const moved = (props: Json) => scene({ a: { name: 'A', parent: 'root', components: [transform(props)] } });
  it.each<[string, unknown, string]>([
    [
      'an older version',
      scene({}, { version: 2 }),
      'is a Hubs scene of version 2; versions 3 to 9 can be imported. Open it in Spoke and save it again: Spoke writes version 9',
    ],
    ['no version', scene({}, { version: undefined }), 'is a Hubs scene of version 1; versions 3 to 9'],
    [
      'a newer version',
      scene({}, { version: 10 }),
      'is a Hubs scene of version 10; versions 3 to 9 can be imported',
    ],
    ['a version between two', scene({}, { version: 8.5 }), 'is a Hubs scene of version 8.5; versions 3 to 9'],
    ['a root that is not there', scene({}, { root: 'other' }), 'root "other" is no entity of the file'],
    [
      'a parent that is not there',
      scene({ a: { name: 'A', parent: 'b' } }),
      'entity "a" "A": its parent "b" is no entity of the file',
    ],
    ['no parent', scene({ a: {} }), 'entity "a": has no parent, which only the root of the scene may lack'],
    [
      'a root with a parent',
      scene({}, { entities: { root: { parent: 'root' } } }),
      'entity "root": is the root of the scene and yet has a parent',
    ],
    [
      'a cycle',
      scene({ a: { parent: 'b' }, b: { name: 'B', parent: 'a' } }),
      'entity "a": is its own ancestor (child → parent): entity "a" → entity "b" "B" → entity "a"',
    ],
    [
      'text for a number',
      moved({ position: { x: '1', y: 0, z: 0 } }),
      'entity "a" "A": position.x must be a finite number, not "1"',
    ],
    [
      'a number missing',
      moved({ rotation: { x: 1, y: 0 } }),
      'entity "a" "A": rotation.z must be a finite number, not undefined',
    ],
    [
      'a list for a vector',
      moved({ scale: [1, 1, 1] }),
      'entity "a" "A": scale must be an object of x, y, z, not a list',
    ],
    [
      'a number that no double holds',
      JSON.stringify(moved({ position: { x: 7, y: 0, z: 0 } })).replace('"x":7', '"x":1e400'),
      'entity "a" "A": position.x must be a finite number, not Infinity',
    ],
    [
      'the same id twice',
      '{"version":8,"root":"r","entities":{"r":{},\n"a":{"parent":"r"},"a":{"parent":"r"}}}',
      'line 2, column 20: the member "a" is there twice',
    ],
    [
      'an id with a slash',
      scene({ 'a/b': { parent: 'root' } }),
      'entity "a/b": its id must be 1 to 128 characters',
    ],
    [
      'an id of 129 characters',
      scene({ ['a'.repeat(129)]: { parent: 'root' } }),
      'its id must be 1 to 128 characters',
    ],
    [
      '__proto__ as an id',
      '{"version":8,"root":"r","entities":{"r":{},"__proto__":{"parent":"x"}}}',
      'entity "__proto__": its parent "x" is no entity of the file',
    ],
    [
      'components by name',
      scene({ a: { parent: 'root', components: {} } }),
      'entity "a": components must be a list of objects',
    ],
    [
      'two transforms',
      scene({ a: { parent: 'root', components: [transform({}), transform({})] } }),
      'entity "a": has two transform components',
    ],
    [
      'components too large',
      scene({ a: { name: 'A', parent: 'root', components: [{ name: 'x', props: 'y'.repeat(70_000) }] } }),
      'entity "a" "A": properties must use at most 65536 bytes in the database',
    ],
    ['entities in a list', { version: 8, root: 'a', entities: [] }, 'entities must be an object'],
  ])('%s', async (_, json, what) => {
    const message = await messageOf(json);
    expect(message.startsWith('plaza.spoke: ')).toBe(true);
    expect(message).toContain(what);
  });
});
