import type { JsonObject, JsonValue } from './types.ts';

/*
 * RFC 7396, as json_merge_patch in Postgres does it. A member of the patch replaces one of the target, null removes
 * one, and objects merge (anything that is not an object counts as empty). The caller must have checked the depth.
 */

/** @returns the patched target. Target and patch do not change. The result may share parts with both. */
export function applyMergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key] as JsonValue;
    if (value === null) delete result[key];
    else result[key] = isObject(value) ? applyMergePatch(ownMember(result, key), value) : value;
  }
  return result;
}

/**
 * Folds two patches into one with the same effect on every target as `a` and then `b`.
 * @returns null if no such patch exists: `b` merges into a member that `a` removes or replaces. For `{k: null}` and
 * `{k: {m: 1}}` the old members of `k` must go, but a patch with an object in `k` keeps them.
 */
export function composePatches(a: JsonObject, b: JsonObject): JsonObject | null {
  if (!canCompose(a, b)) return null;
  const result = cloneJson(a);
  composeInto(result, b);
  return result;
}

/** Whether there is one patch that equals `a` and then `b`. */
export function canCompose(a: JsonObject, b: JsonObject): boolean {
  for (const key in b) {
    const second = b[key] as JsonValue;
    if (!isObject(second)) continue;
    const first = ownMember(a, key);
    if (first === undefined) continue;
    if (!isObject(first) || !canCompose(first, second)) return false;
  }
  return true;
}

/**
 * `composePatches` in place, if `canCompose`: a thousand additions to `a` make no thousand copies. `b` does not change,
 * and shares nothing with `a` afterwards.
 */
export function composeInto(a: JsonObject, b: JsonObject): void {
  for (const key of Object.keys(b)) {
    const second = b[key] as JsonValue;
    const first = ownMember(a, key);
    if (isObject(first) && isObject(second)) composeInto(first, second);
    else a[key] = cloneJson(second);
  }
}

/**
 * Adds patch `b` to two patches that are applied in order, also if `canCompose` is false. If `b` merges into a member
 * that `last` removes or replaces, `first` removes that member. So any number of patches becomes two. Both change in
 * place, and share nothing with `b` afterwards. @param first created only by this function; empty at the beginning
 */
export function composeIntoTwo(first: JsonObject, last: JsonObject, b: JsonObject): void {
  for (const key of Object.keys(b)) {
    const second = b[key] as JsonValue;
    const given = ownMember(last, key);
    if (!isObject(second) || given === undefined) last[key] = cloneJson(second);
    else if (!isObject(given)) {
      first[key] = null;
      last[key] = cloneJson(second);
    } else {
      const before = ownMember(first, key);
      // `first` removes the member, so only `last` decides its value.
      if (before === null) composeInto(given, second);
      else {
        const inner: JsonObject = isObject(before) ? before : {};
        composeIntoTwo(inner, given, second);
        if (Object.keys(inner).length > 0) first[key] = inner;
      }
    }
  }
}

/** `applyMergePatch` to an object, in place. The patch does not change, and shares nothing with the target. */
export function mergeInto(target: JsonObject, patch: JsonObject): void {
  for (const key of Object.keys(patch)) {
    const value = patch[key] as JsonValue;
    if (value === null) {
      delete target[key];
    } else if (isObject(value)) {
      const old = ownMember(target, key);
      // Merges into an empty object if there was none: that drops the nulls of the patch.
      const merged: JsonObject = isObject(old) ? old : {};
      if (merged !== old) target[key] = merged;
      mergeInto(merged, value);
    } else {
      target[key] = cloneJson(value);
    }
  }
}

export function cloneJson<T extends JsonValue>(value: T): T;
export function cloneJson(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => cloneJson(item));
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) copy[key] = cloneJson(value[key] as JsonValue);
  return copy;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Ignores inherited members: `toString` may be an own member. */
function ownMember(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
