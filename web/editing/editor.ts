import { Euler, Matrix4, Quaternion, Vector3 } from 'three';
import {
  createId,
  type LiveObject,
  type ObjectChanges,
  type ObjectFields,
  type World,
} from 'worldkeep/client';
import type { Pose } from '../scene/figure.ts';
import type { Scenery } from '../scene/scenery.ts';
import { type Change, History, pickFields, type UndoResult } from './history.ts';

/** Metres between an object and its copy. */
const COPY_GAP = 1;
const UP = new Vector3(0, 1, 0);

/** A person's changes of objects. Each method is one step that can be undone. */
export class Editor {
  readonly history: History;
  readonly #world: World;
  readonly #scenery: Scenery;
  /** The object as it was before the movement that is under way. */
  #movedFrom: LiveObject | null = null;
  #selectedId: string | null = null;
  readonly #listeners: (() => void)[] = [];

  constructor(world: World, scenery: Scenery) {
    this.#world = world;
    this.#scenery = scenery;
    this.history = new History(world);
    world.objects.on('leave', ({ id }) => {
      if (id === this.#selectedId) this.select(null);
    });
  }

  get selected(): LiveObject | null {
    return (this.#selectedId !== null && this.#world.objects.get(this.#selectedId)) || null;
  }

  /** Called after each change of the selection, or of what can be undone. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  select(id: string | null): void {
    if (id === this.#selectedId) return;
    this.endMove();
    this.#selectedId = id;
    this.#tell();
  }

  create(fields: ObjectFields): string {
    const id = createId();
    this.#world.put(id, fields);
    this.#note([id], [null]);
    this.select(id);
    return id;
  }

  change(id: string, changes: ObjectChanges): void {
    const before = this.#world.objects.get(id);
    if (before === undefined) return;
    this.#world.patch(id, changes);
    this.#note([id], [before]);
  }

  duplicate(): void {
    const { selected } = this;
    if (selected === null) return;
    const fields = pickFields(selected);
    this.create({ ...fields, position: { ...fields.position, x: fields.position.x + COPY_GAP } });
  }

  /** Deletes the selected object, and all below it. @returns how many */
  delete(): number {
    const figure = this.#selectedId === null ? undefined : this.#scenery.figures.get(this.#selectedId);
    if (figure === undefined) return 0;
    const ids: string[] = [];
    for (const stack = [figure]; stack.length > 0; ) {
      const next = stack.pop();
      if (next === undefined) break;
      ids.push(next.id);
      stack.push(...next.children);
    }
    const before = ids.map((id) => this.#world.objects.get(id) ?? null);
    for (const id of ids) this.#world.delete(id);
    this.#note(ids, before);
    return ids.length;
  }

  /** Moves the selected object as a part of one longer movement. */
  move(pose: Partial<Pose>): void {
    const { selected } = this;
    if (selected === null) return;
    this.#movedFrom ??= selected;
    this.#scenery.held.add(selected.id);
    this.#world.move(selected.id, pose);
  }

  /** Ends a movement: it is one step. */
  endMove(): void {
    const before = this.#movedFrom;
    if (before === null) return;
    this.#movedFrom = null;
    this.#scenery.held.delete(before.id);
    const now = this.#world.objects.get(before.id);
    // Somebody has deleted it, which is no step of this person.
    if (now === undefined) return;
    // Nor are changes of other fields that others made during the movement.
    const { position, rotation, scale } = now;
    this.history.add([{ before, after: { ...before, position, rotation, scale } }]);
    this.#tell();
  }

  /** Moves by metres of the world, turns about the vertical, or scales the selected object. */
  nudge({ by, turn = 0, factor = 1 }: { by?: Vector3; turn?: number; factor?: number }): void {
    const { selected } = this;
    if (selected === null) return;
    const { position, rotation, scale } = selected;
    this.move({
      ...(by && { position: new Vector3().copy(position).add(this.#toParent(by)) }),
      ...(turn !== 0 && {
        rotation: new Quaternion().setFromAxisAngle(UP, turn).multiply(new Quaternion().copy(rotation)),
      }),
      ...(factor !== 1 && { scale: new Vector3().copy(scale).multiplyScalar(factor) }),
    });
    this.endMove();
  }

  undo(): UndoResult {
    this.endMove();
    const result = this.history.undo();
    this.#tell();
    return result;
  }

  redo(): UndoResult {
    this.endMove();
    const result = this.history.redo();
    this.#tell();
    return result;
  }

  /** From metres of the world to metres of the parent of an object; null: there is no way back from a parent of size 0. */
  matrixToParent(id: string): Matrix4 | null {
    const matrix = this.#scenery.figures.get(id)?.parent?.matrix;
    if (matrix === undefined) return new Matrix4();
    return matrix.determinant() === 0 ? null : matrix.clone().invert();
  }

  #toParent(direction: Vector3): Vector3 {
    const matrix = this.#selectedId === null ? null : this.matrixToParent(this.#selectedId);
    if (matrix === null) return direction;
    return direction.clone().applyMatrix4(matrix).sub(new Vector3().applyMatrix4(matrix));
  }

  #note(ids: string[], before: (LiveObject | null)[]): void {
    const step = ids.map(
      (id, i): Change => ({ before: before[i] ?? null, after: this.#world.objects.get(id) ?? null }),
    );
    if (step.some((change) => change.before !== change.after)) this.history.add(step);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** A rotation as three angles in degrees, about y, then x, then z. */
export function toDegrees({ x, y, z, w }: Pose['rotation']): { x: number; y: number; z: number } {
  const euler = new Euler().setFromQuaternion(new Quaternion(x, y, z, w), 'YXZ');
  const [dx, dy, dz] = [euler.x, euler.y, euler.z].map(
    (angle) => Math.round((angle * 18_000) / Math.PI) / 100,
  );
  return { x: dx ?? 0, y: dy ?? 0, z: dz ?? 0 };
}

export function fromDegrees({ x, y, z }: { x: number; y: number; z: number }): Pose['rotation'] {
  const [rx, ry, rz] = [x, y, z].map((angle) => (angle * Math.PI) / 180);
  const { x: qx, y: qy, z: qz, w } = new Quaternion().setFromEuler(new Euler(rx, ry, rz, 'YXZ'));
  return { x: qx, y: qy, z: qz, w };
}
