import type { Operation, PatchOperation, PutOperation, UserPatchOperation } from './operation.ts';
import { type Fields, isConditional, ORIGIN, setFields, UNSCALED } from './operation-effects.ts';

type Writing = PutOperation | PatchOperation | UserPatchOperation;

/**
 * What is left of the operations on one object (or avatar) since its last conditional one, by their places in the output.
 * It is always [delete,] [put,] [patch, …]: whatever comes before a delete or a put is gone with it, but for the delete
 * before a put, which makes a new object of it.
 */
interface Run {
  deleteAt: number | null;
  putAt: number | null;
  /** The one that fields go into: a put, or a patch without properties. */
  fieldsAt: number | null;
  /** Whether that is a copy of ours, to be changed in place. */
  isOwned: boolean;
  patchesAt: number[];
}

/**
 * Few operations with which one entry (one actor, one seq) makes of every world what the given ones make of it, one after the
 * other: for each object one, or a deletion and a put, and its merge patches. An operation with a condition stays as it is,
 * and so does the order of what is on its object before and after it. A patch of properties stays by itself: it alone can turn
 * out to be more than the object can hold, and then takes nothing along. Outcomes are no longer one an operation: not for an
 * entry that somebody waits for.
 * @returns the given list where no id is in it twice. The given operations are not changed.
 */
export function coalesceOperations(operations: readonly Operation[]): readonly Operation[] {
  if (!repeatsIds(operations)) return operations;
  const output: (Operation | null)[] = [];
  const runs = { objects: new Map<string, Run>(), avatars: new Map<string, Run>() };
  for (const op of operations) {
    const of = op.op === 'user.patch' ? runs.avatars : runs.objects;
    if (op.op !== 'user.patch' && isConditional(op)) {
      of.delete(op.id);
      output.push(op);
      continue;
    }
    let run = of.get(op.id);
    if (run === undefined) {
      run = { deleteAt: null, putAt: null, fieldsAt: null, isOwned: false, patchesAt: [] };
      of.set(op.id, run);
    }
    addToRun(run, op, output);
  }
  return output.filter((op) => op !== null);
}

function repeatsIds(operations: readonly Operation[]): boolean {
  const objects = new Set<string>();
  const avatars = new Set<string>();
  for (const op of operations) {
    const ids = op.op === 'user.patch' ? avatars : objects;
    if (ids.size === ids.add(op.id).size) return true;
  }
  return false;
}

function addToRun(run: Run, op: Operation, output: (Operation | null)[]): void {
  switch (op.op) {
    case 'delete':
      if (run.deleteAt !== null) output[run.deleteAt] = null;
      clearWrites(run, output);
      run.deleteAt = output.push(op) - 1;
      return;
    case 'put':
      clearWrites(run, output);
      run.putAt = output.push(op) - 1;
      run.fieldsAt = run.putAt;
      return;
    default: {
      // What was just deleted has nothing to patch.
      if (run.deleteAt !== null && run.putAt === null) return;
      if (op.properties === undefined && run.fieldsAt !== null) {
        foldFields(run, run.fieldsAt, op, output);
        return;
      }
      const at = output.push(op) - 1;
      run.patchesAt.push(at);
      // Its other fields come after those of what is before it: nothing later may go there.
      run.fieldsAt = op.properties === undefined ? at : null;
      run.isOwned = false;
    }
  }
}

function clearWrites(run: Run, output: (Operation | null)[]): void {
  if (run.putAt !== null) output[run.putAt] = null;
  for (const at of run.patchesAt) output[at] = null;
  run.putAt = null;
  run.fieldsAt = null;
  run.isOwned = false;
  run.patchesAt = [];
}

function foldFields(
  run: Run,
  at: number,
  op: PatchOperation | UserPatchOperation,
  output: (Operation | null)[],
): void {
  let target = output[at] as Writing;
  if (!run.isOwned) {
    target = { ...target };
    output[at] = target;
    run.isOwned = true;
  }
  if (target.op === 'put') {
    // What a put leaves out is its default, over which a part of a vector goes.
    if (op.position !== undefined) target.position ??= { ...ORIGIN };
    if (op.op === 'patch' && op.scale !== undefined) target.scale ??= { ...UNSCALED };
  }
  // A user.patch has fewer fields, and its position is always whole.
  setFields(target as Fields, op as PatchOperation);
}
