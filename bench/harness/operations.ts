/** Moves like a game server's: every object takes small steps on its own walk. */

const STEP_METRES_MIN = 0.1;
const STEP_METRES_MAX = 0.3;
/** At most this much of a turn between two steps, in radians. */
const TURN_MAX = 0.4;
/** A fast object moves further than this with each step: out of every cell of 32 m. */
const FAST_STEP_METRES = 33;
/** Objects start on a grid of this many metres. */
const GRID_METRES = 4;

/** `obj-00042` */
export function nameObject(i: number): string {
  return `obj-${String(i).padStart(5, '0')}`;
}

/** The position of object i before the first move. */
export function placeObject(i: number, objects: number): { x: number; y: number; z: number } {
  const side = Math.ceil(Math.sqrt(objects));
  return { x: (i % side) * GRID_METRES, y: 0, z: Math.floor(i / side) * GRID_METRES };
}

export interface WalkOptions {
  objects: number;
  opsPerRequest: number;
  /** The number of bodies. */
  bodies: number;
  /** The same seed gives the same walk. */
  seed: number;
  /** Patches, or one `move` in columns. */
  form?: MoveForm;
  /** Steps of over 32 m. */
  isFast?: boolean;
}

export type MoveForm = 'patch' | 'move';

/**
 * Bodies of `POST …/updates`, in the order of the walk: the objects take turns, `opsPerRequest` of them in each body. The
 * load sends them forwards, then backwards, and so on, so that each move is one step from the previous one. Positions have
 * 3 decimals. Rotations have 4: with 3 their length is too far from 1, and the server would change them.
 */
export function makeBodies({
  objects,
  opsPerRequest,
  bodies,
  seed,
  form = 'patch',
  isFast = false,
}: WalkOptions): Buffer[] {
  const random = createRandom(seed);
  const places = Array.from({ length: objects }, (_, i) => placeObject(i, objects));
  const headings = Float64Array.from({ length: objects }, () => random() * 2 * Math.PI);
  let next = 0;
  return Array.from({ length: bodies }, () => {
    const ops: string[] = [];
    const columns = { ids: [] as string[], position: [] as number[], rotation: [] as number[] };
    for (let op = 0; op < opsPerRequest; op++) {
      const i = next++ % objects;
      const place = places[i] ?? { x: 0, y: 0, z: 0 };
      const heading = (headings[i] ?? 0) + (random() * 2 - 1) * TURN_MAX;
      const step =
        STEP_METRES_MIN + random() * (STEP_METRES_MAX - STEP_METRES_MIN) + (isFast ? FAST_STEP_METRES : 0);
      headings[i] = heading;
      place.x += Math.sin(heading) * step;
      place.z += Math.cos(heading) * step;
      const [px, py, pz] = [round(place.x, 3), round(place.y, 3), round(place.z, 3)];
      const [ry, rw] = [round(Math.sin(heading / 2), 4), round(Math.cos(heading / 2), 4)];
      columns.ids.push(nameObject(i));
      columns.position.push(px, py, pz);
      columns.rotation.push(0, ry, 0, rw);
      const position = `{"x":${px},"y":${py},"z":${pz}}`;
      const rotation = `{"x":0,"y":${ry},"z":0,"w":${rw}}`;
      ops.push(`{"op":"patch","id":"${nameObject(i)}","position":${position},"rotation":${rotation}}`);
    }
    if (form === 'move') return Buffer.from(JSON.stringify({ ops: [{ op: 'move', ...columns }] }));
    return Buffer.from(`{"ops":[${ops.join(',')}]}`);
  });
}

/** The index in a list of `length` at step n of an endless walk forwards and backwards. */
export function turnBack(n: number, length: number): number {
  const at = n % (2 * length);
  return at < length ? at : 2 * length - 1 - at;
}

/** Numbers from 0 to 1, always the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals)) + 0;
}
