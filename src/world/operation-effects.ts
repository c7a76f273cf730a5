import type {
  ChatDeleteOperation,
  ChatPostOperation,
  Condition,
  LogEntry,
  LogOperation,
  ObjectOperation,
  PatchOperation,
  PutOperation,
} from './operation.ts';
import type { ObjectInput, Quaternion, Seq, Vector3 } from './types.ts';

/** The fields of an object or a patch of one that replace each other. Shared, never changed in place. */
export interface Fields {
  position?: Partial<Vector3>;
  rotation?: Quaternion;
  scale?: Partial<Vector3>;
  name?: string | null;
  modelId?: string | null;
  parentId?: string | null;
}

export const ORIGIN: Readonly<Vector3> = { x: 0, y: 0, z: 0 };
export const NO_TURN: Readonly<Quaternion> = { x: 0, y: 0, z: 0, w: 1 };
export const UNSCALED: Readonly<Vector3> = { x: 1, y: 1, z: 1 };

/** Whether an entry makes a staged world the space's. Such an entry contains nothing else. */
export function isStage(entry: LogEntry): boolean {
  return entry.ops[0]?.op === 'stage';
}

/** The kind of what an operation changes. */
export type TargetKind = 'object' | 'avatar' | 'message';

export function findKind({ op }: { op: string }): TargetKind {
  if (op.startsWith('user.')) return 'avatar';
  return op.startsWith('chat.') ? 'message' : 'object';
}

export function isOfMessage(op: { op: string }): op is ChatPostOperation | ChatDeleteOperation {
  return op.op === 'chat.post' || op.op === 'chat.delete';
}

export function isOfObject(op: LogOperation): op is ObjectOperation {
  return op.op !== 'stage' && findKind(op) === 'object';
}

export function isConditional(op: Condition): boolean {
  return op.ifSeq !== undefined || op.ifExists !== undefined;
}

/** Whether an object meets a condition, by its seq before the entry (0: it did not exist). */
export function meetsCondition({ ifSeq, ifExists }: Condition, before: Seq): boolean {
  if (ifExists !== undefined && ifExists !== (before !== 0)) return false;
  if (ifSeq === undefined) return true;
  return typeof ifSeq === 'number' ? ifSeq === before : ifSeq.includes(before);
}

/** The object that a put creates. It shares its parts with the operation. */
export function toObject(op: PutOperation): ObjectInput {
  return {
    id: op.id,
    name: op.name ?? null,
    modelId: op.modelId ?? null,
    parentId: op.parentId ?? null,
    position: op.position ?? { ...ORIGIN },
    rotation: op.rotation ?? { ...NO_TURN },
    scale: op.scale ?? { ...UNSCALED },
    properties: op.properties ?? {},
  };
}

/** Sets the fields of a patch, except the properties. */
export function setFields(target: Fields, op: PatchOperation): void {
  // A client also folds operations that the server will refuse, such as `position: null`.
  if (op.position) target.position = mergeVector(target.position, op.position);
  if (op.rotation) target.rotation = op.rotation;
  if (op.scale) target.scale = mergeVector(target.scale, op.scale);
  if (op.name !== undefined) target.name = op.name;
  if (op.modelId !== undefined) target.modelId = op.modelId;
  if (op.parentId !== undefined) target.parentId = op.parentId;
}

/** The first vector with the members of the second. Neither changes. */
function mergeVector(first: Partial<Vector3> | undefined, second: Partial<Vector3>): Partial<Vector3> {
  const isWhole = second.x !== undefined && second.y !== undefined && second.z !== undefined;
  if (isWhole || first === undefined) return second;
  const merged: Partial<Vector3> = { ...first };
  if (second.x !== undefined) merged.x = second.x;
  if (second.y !== undefined) merged.y = second.y;
  if (second.z !== undefined) merged.z = second.z;
  return merged;
}
