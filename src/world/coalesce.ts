import { countPrintedBytes } from './json-size.ts';
import { LIMITS } from './limits.ts';
import { canCompose, cloneJson, composeInto, mergeInto } from './merge-patch.ts';
import type { Operation, PatchOperation, PutOperation, UserPatchOperation } from './operation.ts';
import { type Fields, isConditional, ORIGIN, setFields, UNSCALED } from './operation-effects.ts';
import type { JsonObject } from './types.ts';

type Writing = PutOperation | PatchOperation | UserPatchOperation;

/**
 * What is left of the operations on one object (or avatar) since its last conditional one, by their places in the output.
 * It is always [delete,] [put,] [patch, …]: whatever comes before a delete or a put is gone with it, but for the delete
 * before a put, which makes a new object of it.
 */
interface Run {
  deleteAt: number | null;
  putAt: number | null;
  patchesAt: number[];
  /** Whether the last of them is a copy of ours, to be changed in place. */
  isOwned: boolean;
  /** At least the bytes of its properties; −1: not counted yet. */
  propertiesBytes: number;
}

/**
 * Few operations with which one entry (one actor, one seq) makes of every world what the given ones make of it, one after the
 * other: for each object one, or a deletion and a put. An operation with a condition stays as it is, and so does the order of
 * what is on its object before and after it. A patch whose properties cannot go into the patch before it, or would be too
 * large there, stays. Outcomes are no longer one an operation: not for an entry that somebody waits for.
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
      run = { deleteAt: null, putAt: null, patchesAt: [], isOwned: false, propertiesBytes: -1 };
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
      return;
    default: {
      // What was just deleted has nothing to patch.
      if (run.deleteAt !== null && run.putAt === null) return;
      const lastAt = run.patchesAt.at(-1) ?? run.putAt;
      if (lastAt !== null && foldInto(run, lastAt, op, output)) return;
      run.patchesAt.push(output.push(op) - 1);
      run.isOwned = false;
      run.propertiesBytes = -1;
    }
  }
}

function clearWrites(run: Run, output: (Operation | null)[]): void {
  if (run.putAt !== null) output[run.putAt] = null;
  for (const at of run.patchesAt) output[at] = null;
  run.putAt = null;
  run.patchesAt = [];
  run.isOwned = false;
  run.propertiesBytes = -1;
}

/** @returns false where the properties of the two have to stay apart. */
function foldInto(
  run: Run,
  at: number,
  op: PatchOperation | UserPatchOperation,
  output: (Operation | null)[],
): boolean {
  const last = output[at] as Writing;
  if (!fitsTogether(run, last, op.properties)) return false;
  let target = last;
  if (!run.isOwned) {
    target = { ...last };
    if (target.properties !== undefined) target.properties = cloneJson(target.properties);
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
  if (op.properties === undefined) return true;
  if (target.op === 'put') {
    target.properties ??= {};
    mergeInto(target.properties, op.properties);
  } else if (target.properties === undefined) target.properties = cloneJson(op.properties);
  else composeInto(target.properties, op.properties);
  return true;
}

/** Whether one operation can hold both properties, within the limit: counted once each, not once a fold. */
function fitsTogether(run: Run, last: Writing, added: JsonObject | undefined): boolean {
  if (added === undefined) return true;
  if (last.properties === undefined) {
    // Into a put a patch of nothing may go whole: it only gets smaller.
    run.propertiesBytes = countPrintedBytes(added);
    return true;
  }
  if (last.op !== 'put' && !canCompose(last.properties, added)) return false;
  if (run.propertiesBytes < 0) run.propertiesBytes = countPrintedBytes(last.properties);
  const bytes = run.propertiesBytes + countPrintedBytes(added);
  if (bytes > LIMITS.propertiesBytesMax) return false;
  run.propertiesBytes = bytes;
  return true;
}
