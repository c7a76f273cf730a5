import type { Quaternion, Vector3 } from '../src/world/types.ts';

/**
 * The page draws an object from these properties. A shape is 1 m large around its origin. A cylinder and a cone are along y; a torus and
 * a plane lie flat in xz. The object's scale sizes it. `none` is invisible and groups its children.
 */
interface Look {
  shape?: 'box' | 'sphere' | 'cylinder' | 'cone' | 'torus' | 'plane' | 'none';
  /** In CSS. */
  color?: string;
  /** The shape shines. */
  glow?: true;
  locked?: true;
}

export interface SquareObject {
  id: string;
  name: string;
  parentId?: string;
  position: Vector3;
  rotation?: Quaternion;
  scale?: Vector3;
  properties: Look & Record<string, unknown>;
}

type Triple = readonly [x: number, y: number, z: number];
type Shape = NonNullable<Look['shape']>;

const STONE = '#8d8794';
const DARK_STONE = '#6f6977';
const WATER = '#5cc3ee';
const WOOD = '#8a5a3c';
const DARK_WOOD = '#5b3a29';
const IRON = '#2f3138';
const LAMP = '#ffcf7a';
const RED = '#d4453f';
const CREAM = '#f6ead2';

const vector = ([x, y, z]: Triple): Vector3 => ({ x: round(x), y: round(y), z: round(z) });
/** Numbers that people read, in millimetres. */
const round = (metres: number) => Math.round(metres * 1_000) / 1_000;
/** A rotation by so many degrees about one axis. */
const turn = (axis: 'x' | 'y' | 'z', degrees: number): Quaternion => {
  const half = (degrees * Math.PI) / 360;
  return { x: 0, y: 0, z: 0, [axis]: Math.sin(half), w: Math.cos(half) };
};
/** The words of an id, as people write them. */
const nameOf = (id: string) => (id.charAt(0).toUpperCase() + id.slice(1)).replaceAll('-', ' ');
/** Calls for each number from 1. */
const times = <T>(count: number, make: (number: number) => T) =>
  Array.from({ length: count }, (_, index) => make(index + 1));

interface More {
  rotation?: Quaternion;
  glow?: true;
  locked?: true;
}

function part(
  id: string,
  shape: Shape,
  color: string,
  at: Triple,
  size: Triple,
  more: More = {},
): SquareObject {
  const { rotation, glow, locked } = more;
  return {
    id,
    name: nameOf(id),
    position: vector(at),
    ...(rotation && { rotation }),
    scale: vector(size),
    properties: { shape, color, ...(glow && { glow }), ...(locked && { locked }) },
  };
}

/** An invisible parent without a scale: the page would scale its children too. The ids of the parts begin with its id. */
function group(
  id: string,
  [x, z]: [x: number, z: number],
  degrees: number,
  parts: SquareObject[],
): SquareObject[] {
  const parent: SquareObject = {
    id,
    name: nameOf(id),
    position: vector([x, 0, z]),
    rotation: turn('y', degrees),
    properties: { shape: 'none' },
  };
  const children = parts.map((child) => ({
    ...child,
    id: `${id}-${child.id}`,
    name: `${nameOf(id)}: ${child.id.replaceAll('-', ' ')}`,
    parentId: id,
  }));
  return [parent, ...children];
}

/** Clicks go through a floor. */
const LOCKED: More = { locked: true };

const paving = [
  part('ground', 'plane', '#46553f', [0, -0.01, 0], [60, 1, 60], LOCKED),
  part('paving-1', 'cylinder', DARK_STONE, [0, 0.01, 0], [18, 0.02, 18], LOCKED),
  part('paving-2', 'cylinder', STONE, [0, 0.02, 0], [14.5, 0.04, 14.5], LOCKED),
  part('paving-3', 'cylinder', DARK_STONE, [0, 0.03, 0], [9, 0.06, 9], LOCKED),
  part('paving-4', 'cylinder', STONE, [0, 0.04, 0], [6.4, 0.08, 6.4], LOCKED),
  ...times(4, (n) =>
    part(`step-${n}`, 'box', STONE, [-4.9 - n * 0.62, 0.05, -4.1 - n * 0.52], [1.6, 0.06, 0.5], {
      rotation: turn('y', 50),
    }),
  ),
];

const fountain = group('fountain', [0, 0], 0, [
  part('basin', 'cylinder', DARK_STONE, [0, 0.3, 0], [4.6, 0.6, 4.6]),
  part('rim', 'cylinder', STONE, [0, 0.62, 0], [5, 0.14, 5]),
  part('water', 'cylinder', WATER, [0, 0.69, 0], [4.3, 0.03, 4.3]),
  part('column', 'cylinder', STONE, [0, 1.2, 0], [0.8, 1.1, 0.8]),
  part('bowl', 'cylinder', DARK_STONE, [0, 1.75, 0], [2.3, 0.22, 2.3]),
  part('bowl-water', 'cylinder', WATER, [0, 1.86, 0], [2, 0.03, 2]),
  part('upper-column', 'cylinder', STONE, [0, 2.2, 0], [0.45, 0.8, 0.45]),
  part('upper-bowl', 'cylinder', DARK_STONE, [0, 2.6, 0], [1.2, 0.16, 1.2]),
  part('upper-water', 'cylinder', WATER, [0, 2.68, 0], [1, 0.03, 1]),
  part('jet', 'cone', '#c9efff', [0, 3.1, 0], [0.22, 0.85, 0.22], { glow: true }),
  ...times(6, (n) => {
    const angle = (n * Math.PI) / 3;
    return part(
      `drop-${n}`,
      'sphere',
      '#c9efff',
      [1.35 * Math.cos(angle), 1.45, 1.35 * Math.sin(angle)],
      [0.13, 0.42, 0.13],
      { glow: true },
    );
  }),
]);

const lantern = (n: number) => {
  const degrees = n * 60 - 30;
  const angle = (degrees * Math.PI) / 180;
  return group(`lantern-${n}`, [6.6 * Math.cos(angle), 6.6 * Math.sin(angle)], -degrees, [
    part('post', 'cylinder', IRON, [0, 1.4, 0], [0.14, 2.8, 0.14]),
    part('head', 'sphere', LAMP, [0, 2.98, 0], [0.46, 0.5, 0.46], { glow: true }),
    part('cap', 'cone', IRON, [0, 3.32, 0], [0.62, 0.3, 0.62]),
  ]);
};

/** Its front looks along z before it is turned. */
const bench = (id: string, at: [number, number], degrees: number) =>
  group(id, at, degrees, [
    part('seat', 'box', WOOD, [0, 0.52, 0], [1.9, 0.08, 0.55]),
    part('back', 'box', WOOD, [0, 0.9, -0.26], [1.9, 0.42, 0.07], { rotation: turn('x', -10) }),
    part('left-leg', 'box', IRON, [-0.75, 0.26, 0], [0.09, 0.5, 0.5]),
    part('right-leg', 'box', IRON, [0.75, 0.26, 0], [0.09, 0.5, 0.5]),
  ]);

const tree = (n: number, x: number, z: number, size: number, color: string) =>
  group(`tree-${n}`, [x, z], n * 40, [
    part('trunk', 'cylinder', DARK_WOOD, [0, 0.6 * size, 0], [0.45 * size, 1.2 * size, 0.45 * size]),
    part('leaves', 'cone', color, [0, 2.1 * size, 0], [2.5 * size, 2.2 * size, 2.5 * size]),
    part('top', 'cone', color, [0, 3.3 * size, 0], [1.7 * size, 1.8 * size, 1.7 * size]),
  ]);

const stall = group('stall', [6.3, -5.2], -50, [
  ...[-1.6, 1.6].flatMap((x, side) => [
    part(`front-post-${side + 1}`, 'cylinder', WOOD, [x, 1.1, 0.9], [0.1, 2.2, 0.1]),
    part(`back-post-${side + 1}`, 'cylinder', WOOD, [x, 1.35, -0.9], [0.1, 2.7, 0.1]),
  ]),
  part('counter', 'box', WOOD, [0, 0.5, 0.45], [3.2, 0.95, 0.8]),
  part('counter-top', 'box', CREAM, [0, 1, 0.5], [3.4, 0.07, 1]),
  ...times(7, (n) =>
    part(`awning-${n}`, 'box', n % 2 === 1 ? RED : CREAM, [(n - 4) * 0.5, 2.5, 0.05], [0.5, 0.06, 2.4], {
      rotation: turn('x', 15),
    }),
  ),
  part('pumpkin', 'sphere', '#ee8b2d', [-1.15, 1.24, 0.5], [0.56, 0.44, 0.56]),
  part('melon', 'sphere', '#6fa84a', [-0.4, 1.22, 0.45], [0.5, 0.4, 0.4]),
  part('cheese', 'cylinder', '#f2c744', [0.4, 1.13, 0.5], [0.5, 0.2, 0.5]),
  part('lamp', 'sphere', LAMP, [1.1, 1.2, 0.5], [0.26, 0.32, 0.26], { glow: true }),
]);

const house = group('house', [-8.6, -7.4], 50, [
  part('walls', 'box', '#e3cfae', [0, 1.4, 0], [4.6, 2.8, 4]),
  // A cube on its edge: its upper half is the gable.
  part('gable', 'box', '#e3cfae', [0, 2.8, 0], [3.22, 3.22, 3.98], { rotation: turn('z', 45) }),
  part('left-roof', 'box', '#9c4a3c', [-1.3, 3.98, 0], [3.9, 0.16, 4.7], { rotation: turn('z', 45) }),
  part('right-roof', 'box', '#9c4a3c', [1.3, 3.98, 0], [3.9, 0.16, 4.7], { rotation: turn('z', -45) }),
  part('chimney', 'box', '#7c4438', [1.3, 4.7, -0.9], [0.6, 1.7, 0.6]),
  part('door', 'box', '#3f6f73', [0, 0.95, 2.01], [1, 1.9, 0.1]),
  part('wreath', 'torus', '#5f9c4b', [0, 1.4, 2.1], [0.5, 0.5, 0.5], { rotation: turn('x', 90) }),
  part('left-window', 'box', LAMP, [-1.45, 1.55, 2.01], [0.9, 0.9, 0.08], { glow: true }),
  part('right-window', 'box', LAMP, [1.45, 1.55, 2.01], [0.9, 0.9, 0.08], { glow: true }),
  part('attic-window', 'cylinder', LAMP, [0, 3.5, 2], [0.7, 0.1, 0.7], {
    rotation: turn('x', 90),
    glow: true,
  }),
]);

/** To drag around. */
const toys = [
  part('crate-1', 'box', '#b07a4a', [3.3, 0.44, -6.6], [0.8, 0.8, 0.8], { rotation: turn('y', 20) }),
  part('crate-2', 'box', '#a06c40', [4.3, 0.44, -7], [0.8, 0.8, 0.8], { rotation: turn('y', -8) }),
  part('crate-3', 'box', '#bd8857', [3.8, 1.2, -6.8], [0.7, 0.7, 0.7], { rotation: turn('y', 35) }),
  part('crate-4', 'box', '#b07a4a', [6.9, 0.39, 2.2], [0.7, 0.7, 0.7], { rotation: turn('y', 15) }),
  part('barrel-1', 'cylinder', WOOD, [8.1, 0.5, -2.2], [0.7, 1, 0.7]),
  part('barrel-2', 'cylinder', DARK_WOOD, [8.5, 0.5, -1.3], [0.7, 1, 0.7]),
  part('barrel-3', 'cylinder', WOOD, [7.7, 0.39, 3.2], [0.7, 1, 0.7], { rotation: turn('x', 90) }),
  part('red-ball', 'sphere', '#ef4f4f', [3.4, 0.44, 4.2], [0.8, 0.8, 0.8]),
  part('yellow-ball', 'sphere', '#f8c93a', [4.6, 0.34, 4.6], [0.6, 0.6, 0.6]),
  part('blue-ball', 'sphere', '#4b7bec', [2.7, 0.29, 5.3], [0.5, 0.5, 0.5]),
  part('green-ball', 'sphere', '#3dbf7f', [-2.3, 0.39, 5.2], [0.7, 0.7, 0.7]),
  part('pink-ball', 'sphere', '#f58ad0', [-3.6, 0.29, 4.2], [0.5, 0.5, 0.5]),
  part('hoop', 'torus', '#9b6bf2', [0.6, 0.12, 6], [1.2, 0.8, 1.2]),
];

/** A town square at dusk, seen best from (14, 9, 18). Metres. */
export const SQUARE: readonly SquareObject[] = [
  ...paving,
  ...fountain,
  ...times(6, lantern).flat(),
  ...bench('bench', [4, 0], -90),
  ...bench('bench-2', [0, -4], 0),
  ...bench('bench-3', [-4, 0], 90),
  ...tree(1, -4.6, -10.2, 1.3, '#2f6b4f'),
  ...tree(2, 0.4, -10.6, 1.05, '#3b7d52'),
  ...tree(3, 9.6, -7.8, 1.15, '#2f6b4f'),
  ...tree(4, -10.6, -1.6, 1.25, '#3b7d52'),
  ...tree(5, -9.4, 4.6, 1, '#4b8f55'),
  ...tree(6, -6.6, 8.4, 0.8, '#2f6b4f'),
  ...stall,
  ...house,
  ...toys,
];
