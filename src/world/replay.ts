import { cloneJson, mergeInto } from './merge-patch.ts';
import type {
  ChatDeleteOperation,
  ChatPostOperation,
  LogEntry,
  ObjectOperation,
  OperationResult,
  OperationStatus,
  UserPatchOperation,
} from './operation.ts';
import {
  isOfMessage,
  isStage,
  meetsCondition,
  NO_TURN,
  ORIGIN,
  setFields,
  toObject,
} from './operation-effects.ts';
import type { ChatMessage, JsonObject, ObjectInput, Quaternion, Seq, Vector3 } from './types.ts';

export interface ReplayObject extends ObjectInput {
  /** Above 0. An object of a staged world has the seq at which the world became the space's. */
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

export type ReplayMessage = Omit<ChatMessage, 'createdAt'>;

/** A world that replay changes in place. It shares its objects and avatars with nothing else. */
export interface ReplayWorld {
  objects: Map<string, ReplayObject>;
  avatars: Map<string, ReplayAvatar>;
  /** When missing objects were removed, as far as `replay` needs it. */
  removed: Map<string, Seq>;
  /** The people whose avatar can move; null: all. People are created and erased outside of the log. */
  people: ReadonlySet<string> | null;
  /** Absent: messages are not replayed. A `ChatWindow` has the newest of a view. */
  messages?: Map<string, ReplayMessage>;
}

/**
 * Folds entries of one log, in its order, into a world.
 *
 * Replay may begin anywhere at or before the world's seq: an entry changes no object whose seq is not below its own.
 * So a world may be read in pieces, at different seqs, and entries may come twice, if
 * - the entries follow each other without a gap, from no later than the earliest piece to no earlier than the latest;
 * - `removed` has every object that was removed after replay's first seq and before its piece was read. Only
 *   conditional operations need that: without them, the replay reaches the deletion later. Replay records its own
 *   removals.
 *
 * @returns the number of replayed entries. Replay stops before an entry that makes a staged world the space's: only
 * Postgres has that world. The reader waits for the drain and reads again.
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
 * @returns the outcome of each operation; `applied` if the world already has it.
 * @throws Error for a staged world, which is not in its entry
 */
export function replayEntry(world: ReplayWorld, entry: LogEntry): OperationResult[] {
  const { seq, actor } = entry;
  // The seqs before the entry. They decide conditions, and whether the world already has the entry.
  const before = { objects: new Map<string, Seq>(), avatars: new Map<string, Seq>() };
  return entry.ops.map((op) => {
    if (op.op === 'stage') throw new Error('A staged world cannot be replayed: it is not in its entry.');
    if (isOfMessage(op)) return { id: op.id, status: changeMessage(world, op, seq) };
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
  // A removed object has a negative seq here: for a condition it does not exist.
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

function changeMessage(
  { messages }: ReplayWorld,
  op: ChatPostOperation | ChatDeleteOperation,
  seq: Seq,
): OperationStatus {
  if (messages === undefined) return 'applied';
  if (op.op === 'chat.delete') return messages.delete(op.id) ? 'applied' : 'unknown_object';
  const { id, userId, text, kind } = op;
  messages.set(id, { id, userId, text, kind, seq });
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

/** A copy that shares nothing with the world. */
export function copyWorld(world: ReplayWorld): ReplayWorld {
  const copy = <T extends { properties: JsonObject }>(items: Map<string, T>) =>
    new Map([...items].map(([id, item]) => [id, { ...item, properties: cloneJson(item.properties) }]));
  return {
    objects: copy(world.objects),
    avatars: copy(world.avatars),
    removed: new Map(world.removed),
    people: world.people,
    ...(world.messages && { messages: new Map(world.messages) }),
  };
}
