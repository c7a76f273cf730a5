import type { JsonObject } from 'worldkeep/client';

/**
 * The merge patch (RFC 7396) that turns `before` into `after`. Members that are equal in both are not in it, so changes of others there
 * stay. null: nothing differs
 * @param now if given, members that are no longer as in `before` are left out
 */
export function buildMergePatch(
  before: JsonObject,
  after: JsonObject,
  now: JsonObject = before,
): JsonObject | null {
  const patch: JsonObject = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is, has] = [before, after, now].map((object) => readMember(object, name));
    if (isEqual(was, is)) continue;
    if (isObject(was) && isObject(is) && isObject(has)) {
      const inner = buildMergePatch(was, is, has);
      if (inner !== null) patch[name] = inner;
    } else if (isEqual(has, was)) patch[name] = is ?? null;
  }
  return Object.keys(patch).length === 0 ? null : patch;
}

/** Not a member that every JavaScript object has, such as `constructor`. */
function readMember(object: JsonObject, name: string): JsonObject[string] | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isEqual(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(sortKeys(a)) === JSON.stringify(sortKeys(b));
}

function sortKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sortKeys);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sortKeys(member)]),
  );
}
