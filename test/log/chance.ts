import type { Operation } from '../../src/world/operation.ts';
import type { JsonObject, ObjectInput, Seq } from '../../src/world/types.ts';
import { PEOPLE } from './rig.ts';

/** Random numbers from a seed: the same numbers each time (mulberry32). */
export class Chance {
  /** The ids of the messages that were drawn. */
  readonly messageIds: string[] = [];
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From 0 to below `max`. */
  below(max: number): number {
    return Math.floor(this.next() * max);
  }

  is(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  shuffle<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}

/** Only a few, so that operations often meet the same object. One id is also the id of a person. */
export const OBJECT_IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const KEYS = ['k', 'l', 'toString'];

function anyVector(chance: Chance) {
  return { x: chance.below(100), y: -chance.next(), z: chance.below(3) };
}

function anyProperties(chance: Chance): JsonObject {
  const properties: JsonObject = {};
  for (const key of KEYS)
    if (chance.is(0.4))
      properties[key] = chance.pick([null, 1, 'x', [null, {}], { m: 1 }, { n: null }, { m: { o: 2 } }]);
  return properties;
}

export function anyObject(chance: Chance, id: string): ObjectInput {
  return {
    id,
    name: chance.pick([null, '', 'n']),
    modelId: null,
    parentId: chance.pick([null, 'a', 'gone']),
    position: anyVector(chance),
    rotation: { x: 0, y: 0, z: 0, w: 1 },
    scale: { x: 1, y: 2, z: 3 },
    // A whole object has no member to remove.
    properties: JSON.parse(JSON.stringify(anyProperties(chance), (_, value) => value ?? undefined)),
  };
}

/** Neighbours that only move, so that they can be sent in columns. */
export function anyMoves(chance: Chance): Operation[] {
  const turns = chance.is(0.5);
  return Array.from({ length: 2 + chance.below(3) }, () => ({
    op: 'patch',
    id: chance.pick(OBJECT_IDS),
    position: anyVector(chance),
    ...(turns && { rotation: { x: 0, y: 1, z: 0, w: 0 } }),
  }));
}

/** A message with a new id, or the deletion of a message that may be deleted already. */
function anyMessage(chance: Chance): Operation {
  const { messageIds } = chance;
  if (messageIds.length > 0 && chance.is(0.4)) return { op: 'chat.delete', id: chance.pick(messageIds) };
  const id = `m${chance.below(2 ** 50)}`;
  messageIds.push(id);
  const userId = chance.pick([null, ...PEOPLE]);
  return { op: 'chat.post', id, userId, text: chance.pick(['hi', '"\\', '\n😀']), kind: 'text' };
}

/** @param seqs known seqs, for conditions */
export function anyOperation(chance: Chance, seqs: readonly Seq[]): Operation {
  const kind = chance.below(11);
  if (kind === 10) return anyMessage(chance);
  if (kind === 0)
    return {
      op: 'user.patch',
      id: chance.pick([...PEOPLE, 'stranger']),
      position: anyVector(chance),
      ...(chance.is(0.5) && { properties: anyProperties(chance) }),
    };
  const id = chance.pick(OBJECT_IDS);
  const condition = chance.is(0.25)
    ? { ifSeq: chance.is(0.5) ? chance.pick([0, ...seqs]) : [0, ...seqs.slice(-3)] }
    : {};
  if (kind === 1) return { op: 'delete', id, ...condition };
  if (kind < 4) {
    const { properties, ...object } = anyObject(chance, id);
    return { op: 'put', ...object, properties, ...condition };
  }
  return {
    op: 'patch',
    id,
    ...condition,
    ...(chance.is(0.7) && { position: { x: chance.below(100), ...(chance.is(0.5) && { z: 7 }) } }),
    ...(chance.is(0.2) && { name: chance.pick([null, 'm']) }),
    ...(chance.is(0.5) && { properties: anyProperties(chance) }),
  };
}
