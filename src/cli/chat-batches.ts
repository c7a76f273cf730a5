import type { JsonObject } from '../world/types.ts';
import { toState } from '../world/world-input.ts';
import { isMembers } from './formats/json-text.ts';

export interface SplitWorld {
  /** The world with its last messages. */
  world: JsonObject;
  /** The messages before them, in batches, newest batch first. */
  older: JsonObject[][];
}

/**
 * Splits the messages off that one save has no room for.
 * @param world as the API takes it. It comes back as it is where all of it fits.
 * @param bytesMax of everything but the objects in one save, as JSON
 */
export function splitChat(world: JsonObject, bytesMax: number): SplitWorld {
  const state = toState(world);
  if (!isMembers(state) || !Array.isArray(state.chat)) return { world, older: [] };
  const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value ?? null));
  let room = bytesMax - sizeOf([state.users, state.models, state.media]);
  const batches: JsonObject[][] = [[]];
  for (const message of (state.chat as JsonObject[]).toReversed()) {
    const bytes = sizeOf(message) + 1;
    if (bytes > room) {
      batches.push([]);
      room = bytesMax;
    }
    room -= bytes;
    batches.at(-1)?.push(message);
  }
  const [chat = [], ...older] = batches.map((batch) => batch.toReversed());
  return older.length === 0 ? { world, older } : { world: { ...(state as JsonObject), chat }, older };
}
