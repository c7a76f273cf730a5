import type { JsonObject, JsonValue } from './types.ts';

/*
 * RFC 7396, as json_merge_patch in Postgres does it. Members of the patch replace members of the target, null removes a member,
 * and objects merge (anything that is not an object counts as empty). Depth must have been checked before.
 */

/** @returns the target as the patch makes it. Neither is changed; the result may share parts with both. */
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
 * Folds two patches into one, which makes of every target what `a` and then `b` make of it.
 * @returns null where no patch does: where `a` removes or replaces what `b` then merges into, as `{k: null}` and
 * `{k: {m: 1}}`: what was in `k` before must go, and a patch that has an object in `k` keeps it.
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
 * `composePatches` where `canCompose`, changing `a` in place: a patch to which a thousand others are added is not copied a
 * thousand times. `b` stays as it is, and shares nothing with `a` afterwards.
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
 * Adds a patch to two that are applied one after the other, where `canCompose` may say no. If `last` removes or replaces a member and
 * `b` then merges into it, `first` removes that member. So any number of patches becomes two. Both are changed in place, and share nothing
 * with `b` afterwards. @param first created only by this function; empty at the beginning
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
      // Where it was removed there is nothing left that the order could matter to.
      if (before === null) composeInto(given, second);
      else {
        const inner: JsonObject = isObject(before) ? before : {};
        composeIntoTwo(inner, given, second);
        if (Object.keys(inner).length > 0) first[key] = inner;
      }
    }
  }
}

/** `applyMergePatch` of an object, changing the target in place. The patch stays as it is, and shares nothing with it. */
export function mergeInto(target: JsonObject, patch: JsonObject): void {
  for (const key of Object.keys(patch)) {
    const value = patch[key] as JsonValue;
    if (value === null) {
      delete target[key];
    } else if (isObject(value)) {
      const old = ownMember(target, key);
      // Empty where nothing was: nulls in the patch are no values.
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

/** Never what an object inherits: `toString` may be a member like any other. */
function ownMember(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
