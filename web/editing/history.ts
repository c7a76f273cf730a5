import type { LiveObject, ObjectChanges, World } from 'worldkeep/client';
import { buildMergePatch, isEqual } from './merge-patch.ts';

/** One object before and after a step. null: it did not exist. */
export interface Change {
  before: LiveObject | null;
  after: LiveObject | null;
}

export type Step = Change[];

export type UndoResult = 'done' | 'changed_since' | 'empty';

type Field = Exclude<keyof ObjectChanges, 'ifSeq' | 'properties'>;

const FIELDS: Field[] = ['name', 'modelId', 'parentId', 'position', 'rotation', 'scale'];
const STEPS_MAX = 200;

/** The steps of this tab, to undo and redo them. Later changes of others stay. */
export class History {
  readonly #world: World;
  #done: Step[] = [];
  #undone: Step[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
  }

  add(step: Step): void {
    this.#done = [...this.#done.slice(1 - STEPS_MAX), step];
    this.#undone = [];
  }

  undo(): UndoResult {
    const step = this.#done.pop();
    if (step === undefined) return 'empty';
    this.#undone.push(step);
    return this.#apply(step.map(({ before, after }) => ({ before: after, after: before })).reverse());
  }

  redo(): UndoResult {
    const step = this.#undone.pop();
    if (step === undefined) return 'empty';
    this.#done.push(step);
    return this.#apply(step);
  }

  /** Brings objects from `before` to `after`, where they still are as in `before`. */
  #apply(step: Step): UndoResult {
    let isDone = false;
    for (const { before, after } of step) {
      const id = (before ?? after)?.id ?? '';
      const now = this.#world.objects.get(id);
      if (after === null) {
        if (now === undefined || before === null || !isEqual(pickFields(now), pickFields(before))) continue;
        this.#world.delete(id);
      } else if (before === null) {
        if (now !== undefined) continue;
        this.#world.put(id, pickFields(after));
      } else {
        const changes = now && buildChanges(before, after, now);
        if (!changes) continue;
        this.#world.patch(id, changes);
      }
      isDone = true;
    }
    return isDone ? 'done' : 'changed_since';
  }
}

/** The fields of an object that its users write. */
export function pickFields({ name, modelId, parentId, position, rotation, scale, properties }: LiveObject) {
  return { name, modelId, parentId, position, rotation, scale, properties };
}

/** The changes from `before` to `after`, without the fields that `now` has otherwise; null: nothing is left. */
function buildChanges(before: LiveObject, after: LiveObject, now: LiveObject): ObjectChanges | null {
  const changes: Record<string, unknown> = {};
  for (const field of FIELDS)
    if (!isEqual(before[field], after[field]) && isEqual(now[field], before[field]))
      changes[field] = after[field];
  const properties = buildMergePatch(before.properties, after.properties, now.properties);
  if (properties !== null) changes.properties = properties;
  return Object.keys(changes).length === 0 ? null : changes;
}
