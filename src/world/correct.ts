import type { DeadOperation } from './batch.ts';
import type { Operation } from './operation.ts';
import type { JsonObject, Quaternion, Vector3, WorldObject } from './types.ts';

/**
 * Operations that correct readers of the log after a rejected operation. An object is put as it is, or deleted. An
 * avatar is patched as it is, after a patch that removes the members of the dead operations. One patch alone would keep
 * them. A missing avatar needs no correction. A rejected message is deleted.
 * @param objects the objects of `dead` that exist; `avatars` likewise
 */
export function correctOperations({
  dead,
  objects,
  avatars,
}: {
  dead: readonly DeadOperation[];
  objects: readonly WorldObject[];
  avatars: readonly { id: string; position: Vector3; rotation: Quaternion; properties: JsonObject }[];
}): Operation[] {
  const kept = new Map(objects.map((object) => [object.id, object]));
  const operations: Operation[] = [...collectKeys(dead, 'object').keys()].map((id) => {
    const object = kept.get(id);
    if (object === undefined) return { op: 'delete', id };
    const { name, modelId, parentId, position, rotation, scale, properties } = object;
    return { op: 'put', id, name, modelId, parentId, position, rotation, scale, properties };
  });
  for (const { kind, id } of dead) if (kind === 'message') operations.push({ op: 'chat.delete', id });
  const given = collectKeys(dead, 'avatar');
  for (const { id, position, rotation, properties } of avatars) {
    const nulls = Array.from(given.get(id) ?? [], (key) => [key, null] as const);
    if (nulls.length > 0) operations.push({ op: 'user.patch', id, properties: Object.fromEntries(nulls) });
    operations.push({ op: 'user.patch', id, position, rotation, properties });
  }
  return operations;
}

/** The ids of dead operations of a kind, with the members of properties that they gave. */
function collectKeys(dead: readonly DeadOperation[], kind: DeadOperation['kind']): Map<string, Set<string>> {
  const keys = new Map<string, Set<string>>();
  for (const { kind: its, id, propertyKeys } of dead)
    if (its === kind) keys.set(id, new Set([...(keys.get(id) ?? []), ...propertyKeys]));
  return keys;
}
