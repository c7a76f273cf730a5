import type { JsonObject, JsonValue } from './types.ts';

/**
 * Sorts members as Postgres prints jsonb: shorter names first, then by their bytes. So a text made from the log equals
 * the text from Postgres.
 */
export function orderMembers(object: JsonObject): JsonObject {
  const names = Object.keys(object);
  const ordered =
    names.length < 2
      ? names
      : names
          .map(toKey)
          .sort(compare)
          .map(({ name }) => name);
  const result: JsonObject = {};
  for (const name of ordered) result[name] = orderValue(object[name] as JsonValue);
  return result;
}

function orderValue(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(orderValue);
  return typeof value === 'object' && value !== null ? orderMembers(value) : value;
}

interface Key {
  name: string;
  bytes: Uint8Array;
}

const encoder = new TextEncoder();

function toKey(name: string): Key {
  return { name, bytes: encoder.encode(name) };
}

function compare({ bytes: a }: Key, { bytes: b }: Key): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
