import { cloneJson, mergeInto } from './merge-patch.ts';
import type {
  LogEntry,
  ObjectOperation,
  OperationResult,
  OperationStatus,
  UserPatchOperation,
} from './operation.ts';
import { isStage, meetsCondition, NO_TURN, ORIGIN, setFields, toObject } from './operation-effects.ts';
import type { JsonObject, ObjectInput, Quaternion, Seq, Vector3 } from './types.ts';

export interface ReplayObject extends ObjectInput {
  /** Above 0: of what a staged world brought, the seq at which it became the space's. */
  seq: Seq;
  createdSeq: Seq;
  createdBy: string | null;
  updatedBy: string | null;
}

export interface ReplayAvatar {
  id: string;
  position: Vector3;
  rotation: Quaternion;
  properties: JsonObject;
  seq: Seq;
}

/** A world that entries of its log are folded into, in place: its objects and avatars are its own. */
export interface ReplayWorld {
  objects: Map<string, ReplayObject>;
  avatars: Map<string, ReplayAvatar>;
  /** When objects that are not there were removed, as far as it matters: see `replay`. */
  removed: Map<string, Seq>;
  /** The people that have an avatar to move; null: all. People are created and erased outside of the log. */
  people: ReadonlySet<string> | null;
}

/**
 * Folds entries of one log, in its order, into a world.
 *
 * Replay may begin anywhere at or before the world's seq: an entry does nothing to an object whose seq is not below its own.
 * So a world may be read in pieces, at different seqs, and entries may come twice, if
 * - the entries follow each other without a gap, from no later than the earliest piece to no earlier than the latest;
 * - `removed` has what was removed between the seq at which replay begins and the seq of the piece that would have it. Only
 *   conditional operations need that: without them, a deletion that was not known comes again before the end. Of what the
 *   fold itself removes it keeps track.
 *
 * @returns how many entries it replayed: fewer than given where the next one makes a staged world the space's. That world is
 * only in Postgres: a reader that meets it waits for the drain and reads again.
 */
export function replay(world: ReplayWorld, entries: readonly LogEntry[]): number {
  let replayed = 0;
  for (const entry of entries) {
    if (isStage(entry)) break;
    replayEntry(world, entry);
    replayed++;
  }
  return replayed;
}

/**
 * Folds one entry into a world, as `replay` does.
 * @returns what became of each operation; of those passed over because the world has them already, `applied`.
 * @throws Error for a staged world, which is not in its entry
 */
export function replayEntry(world: ReplayWorld, entry: LogEntry): OperationResult[] {
  const { seq, actor } = entry;
  // The seqs of what the entry names before it: conditions, and whether it is new to them, are decided by these.
  const before = { objects: new Map<string, Seq>(), avatars: new Map<string, Seq>() };
  return entry.ops.map((op) => {
    if (op.op === 'stage') throw new Error('A staged world cannot be replayed: it is not in its entry.');
    const status =
      op.op === 'user.patch'
        ? moveAvatar(world, op, seq, before.avatars)
        : applyToObject(world, op, seq, actor, before.objects);
    return { id: op.id, status };
  });
}

function applyToObject(
  world: ReplayWorld,
  op: ObjectOperation,
  seq: Seq,
  actor: string | null,
  before: Map<string, Seq>,
): OperationStatus {
  const { id } = op;
  const object = world.objects.get(id);
  // The seq of a removed one is noted as a negative: to a condition it is not there.
  const decided = before.get(id) ?? object?.seq ?? -(world.removed.get(id) ?? 0);
  before.set(id, decided);
  if (Math.abs(decided) >= seq) return 'applied';
  if (op.op === 'put') {
    if (!meetsCondition(op, Math.max(decided, 0))) return 'conflict';
    const { createdSeq, createdBy } = object ?? { createdSeq: seq, createdBy: actor };
    const made = toObject(op);
    const properties = cloneJson(made.properties);
    world.objects.set(id, { ...made, properties, seq, createdSeq, createdBy, updatedBy: actor });
    world.removed.delete(id);
    return 'applied';
  }
  if (object === undefined) return 'unknown_object';
  if (!meetsCondition(op, Math.max(decided, 0))) return 'conflict';
  if (op.op === 'delete') {
    world.objects.delete(id);
    world.removed.set(id, seq);
    return 'applied';
  }
  setFields(object, op);
  if (op.properties !== undefined) mergeInto(object.properties, op.properties);
  object.seq = seq;
  object.updatedBy = actor;
  return 'applied';
}

function moveAvatar(
  world: ReplayWorld,
  op: UserPatchOperation,
  seq: Seq,
  before: Map<string, Seq>,
): OperationStatus {
  const { id } = op;
  if (world.people !== null && !world.people.has(id)) return 'unknown_object';
  let avatar = world.avatars.get(id);
  const decided = before.get(id) ?? avatar?.seq ?? 0;
  before.set(id, decided);
  if (decided >= seq) return 'applied';
  if (avatar === undefined) {
    avatar = { id, position: { ...ORIGIN }, rotation: { ...NO_TURN }, properties: {}, seq };
    world.avatars.set(id, avatar);
  }
  if (op.position !== undefined) avatar.position = op.position;
  if (op.rotation !== undefined) avatar.rotation = op.rotation;
  if (op.properties !== undefined) mergeInto(avatar.properties, op.properties);
  avatar.seq = seq;
  return 'applied';
}

/** A world of its own, with the same in it. */
export function copyWorld(world: ReplayWorld): ReplayWorld {
  const copy = <T extends { properties: JsonObject }>(items: Map<string, T>) =>
    new Map([...items].map(([id, item]) => [id, { ...item, properties: cloneJson(item.properties) }]));
  return {
    objects: copy(world.objects),
    avatars: copy(world.avatars),
    removed: new Map(world.removed),
    people: world.people,
  };
}
