import { cloneJson, composePatches, mergeInto } from '../world/merge-patch.ts';
import type { Operation, PatchOperation, PutOperation, UserPatchOperation } from '../world/operation.ts';
import { type Fields, isConditional, ORIGIN, setFields, UNSCALED } from '../world/operation-effects.ts';

/** The object, avatar or message that an operation changes. */
export function targetOf({ op, id }: Operation): string {
  return `${op === 'user.patch' ? 'user' : op.startsWith('chat.') ? 'chat' : 'object'} ${id}`;
}

/**
 * One operation with the effect of both, in order. It keeps an unsent queue short, however long a client is offline.
 * @returns null if there is none. Neither operation changes.
 */
export function mergeOperations(first: Operation, next: Operation): Operation | null {
  if (targetOf(first) !== targetOf(next)) return null;
  if (first.op === 'user.patch' && next.op === 'user.patch') return mergePatches(first, next);
  if (isWrite(first) && !isConditional(first)) {
    if ((next.op === 'put' || next.op === 'delete') && !isConditional(next)) return next;
    if (next.op === 'patch' && !isConditional(next))
      return first.op === 'put' ? patchPut(first, next) : mergePatches(first, next);
  }
  return null;
}

function isWrite(operation: Operation): operation is PutOperation | PatchOperation {
  return operation.op === 'put' || operation.op === 'patch';
}

function patchPut(put: PutOperation, patch: PatchOperation): PutOperation {
  const merged = { ...put };
  // A partial vector changes only its own members of the default.
  if (patch.position !== undefined) merged.position ??= { ...ORIGIN };
  if (patch.scale !== undefined) merged.scale ??= { ...UNSCALED };
  setFields(merged as Fields, patch);
  if (patch.properties !== undefined) {
    merged.properties = cloneJson(put.properties ?? {});
    mergeInto(merged.properties, patch.properties);
  }
  return merged;
}

function mergePatches<Patch extends PatchOperation | UserPatchOperation>(
  first: Patch,
  next: Patch,
): Patch | null {
  const merged = { ...first };
  setFields(merged as Fields, next as PatchOperation);
  if (next.properties === undefined) return merged;
  const properties = composePatches(first.properties ?? {}, next.properties);
  return properties && { ...merged, properties };
}
