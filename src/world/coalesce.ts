import type {
  ObjectOperation,
  Operation,
  PatchOperation,
  PutOperation,
  UserPatchOperation,
} from './operation.ts';
import { type Fields, isConditional, isOfMessage, ORIGIN, setFields, UNSCALED } from './operation-effects.ts';

type Writing = PutOperation | PatchOperation | UserPatchOperation;

/**
 * The remaining operations on one object (or avatar) since its last conditional one, by their places in the output. The
 * list is always [delete,] [put,] [patch, …]. A delete or a put makes earlier operations unnecessary. Only a delete
 * before a put stays, because the put then creates a new object.
 */
interface Run {
  deleteAt: number | null;
  putAt: number | null;
  /** The operation that later fields are merged into: a put, or a patch without properties. */
  fieldsAt: number | null;
  /** Whether the operation at `fieldsAt` is a copy that may be changed in place. */
  isOwned: boolean;
  patchesAt: number[];
}

/**
 * Fewer operations with the same effect on every world, within one entry (one actor, one seq). Each object gets one
 * operation, or a deletion and a put, and its merge patches. A conditional operation stays as it is, and so does the
 * order around it. A patch of properties stays alone: it may make the object too large, and then only this patch fails.
 * There is no longer one outcome for each operation, so entries with a waiting caller are not coalesced.
 * @returns the given list if no id is in it twice. The given operations are not changed.
 */
export function coalesceOperations(operations: readonly Operation[]): readonly Operation[] {
  if (!repeatsIds(operations)) return operations;
  const output: (Operation | null)[] = [];
  const runs = { objects: new Map<string, Run>(), avatars: new Map<string, Run>() };
  for (const op of operations) {
    if (isOfMessage(op)) {
      output.push(op);
      continue;
    }
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
    if (isOfMessage(op)) continue;
    const ids = op.op === 'user.patch' ? avatars : objects;
    if (ids.size === ids.add(op.id).size) return true;
  }
  return false;
}

function addToRun(run: Run, op: ObjectOperation | UserPatchOperation, output: (Operation | null)[]): void {
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
      // A deleted object has nothing to patch.
      if (run.deleteAt !== null && run.putAt === null) return;
      if (op.properties === undefined && run.fieldsAt !== null) {
        foldFields(run, run.fieldsAt, op, output);
        return;
      }
      const at = output.push(op) - 1;
      run.patchesAt.push(at);
      // Its other fields come after the fields of the operation before it: no later field may go there.
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
    // Members that a put leaves out have their defaults. A partial vector changes only its given members.
    if (op.position !== undefined) target.position ??= { ...ORIGIN };
    if (op.op === 'patch' && op.scale !== undefined) target.scale ??= { ...UNSCALED };
  }
  // A user.patch has fewer fields, and its position is always whole.
  setFields(target as Fields, op as PatchOperation);
}
