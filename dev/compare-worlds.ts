import { isDeepStrictEqual } from 'node:util';
import type { WorldObject } from '../src/world/types.ts';

export interface Comparison {
  objects: number;
  /** Values that were held against each other: one for each member of each object. */
  values: number;
  same: number;
  missing: string[];
  unexpected: string[];
  /** `id: member` of each difference. */
  different: string[];
}

/**
 * Holds a world against what it must be, object by object and member by member.
 * @param expected for each id all that may be there: `null` is "no such object". More than one where a write was under way
 *   when the world was cut off, so that both outcomes are right.
 */
export function compareWorlds(
  expected: ReadonlyMap<string, readonly (WorldObject | null)[]>,
  actual: readonly WorldObject[],
): Comparison {
  const byId = new Map(actual.map((object) => [object.id, object]));
  const result: Comparison = { objects: 0, values: 0, same: 0, missing: [], unexpected: [], different: [] };
  for (const [id, choices] of expected) {
    const object = byId.get(id) ?? null;
    byId.delete(id);
    if (object === null) {
      if (!choices.includes(null)) result.missing.push(id);
      continue;
    }
    const wanted = choices.filter((choice) => choice !== null);
    if (wanted.length === 0) {
      result.unexpected.push(id);
      continue;
    }
    result.objects++;
    const members = Object.keys(object) as (keyof WorldObject)[];
    result.values += members.length;
    // The choice that fits best tells what differs.
    const [differing = []] = wanted
      .map((choice) => members.filter((member) => !isDeepStrictEqual(choice[member], object[member])))
      .sort((a, b) => a.length - b.length);
    if (differing.length === 0) result.same++;
    for (const member of differing) result.different.push(`${id}: ${member}`);
  }
  result.unexpected.push(...byId.keys());
  return result;
}
