import { countPrintedBytes, findUnkeepable, measureDepth } from './json-size.ts';
import { LIMITS } from './limits.ts';
import { COLUMNS, countOperations, halveMove, isMove, type Move } from './move.ts';
import type { AppendedOperation, MoveOperation, SentOperation, StageOperation } from './operation.ts';
import { operationCountSchema, operationsSchema } from './operation-schema.ts';
import { keepRotation } from './quaternion.ts';
import { check, ID_PATTERN } from './schemas.ts';
import type { JsonObject, JsonValue, Quaternion, Seq, Vector3 } from './types.ts';

export { operationsSchema } from './operation-schema.ts';

/**
 * Reads the body of a request that changes a world: `{ops: […]}`, with 1 to `LIMITS.opsPerRequestMax` operations.
 * Each element of a move counts as one.
 * @returns the operations for the log: −0 as 0, rotations as `keepRotation` returns them. Properties are still the
 * caller's own objects.
 * @throws validation_failed or properties_too_large, with a JSON Pointer (`/ops/3/position/x`) for each wrong value.
 */
export function checkOperations(value: unknown): SentOperation[] {
  const operations = readOperations(value);
  if (operations !== null) return operations;
  check(operationCountSchema, value);
  return check(operationsSchema, value).ops;
}

/**
 * The JSON texts of the entries that hold these operations, in order, each at most `LIMITS.entryBytesMax` bytes of
 * UTF-8, and how many each holds. A larger move is split. Any other operation fits: its properties are at most
 * `LIMITS.propertiesBytesMax`.
 */
export function encodeEntries(
  operations: readonly (AppendedOperation | StageOperation)[],
): { ops: string; count: number }[] {
  const whole = JSON.stringify(operations);
  if (operations.length === 0) return [];
  // A character of a string has at most three bytes.
  if (whole.length * 3 <= LIMITS.entryBytesMax || countBytes(whole) <= LIMITS.entryBytesMax)
    return [{ ops: whole, count: countOperations(operations) }];
  const entries: { ops: string; count: number }[] = [];
  let texts: string[] = [];
  let bytes = 1;
  let count = 0;
  const end = () => {
    entries.push({ ops: `[${texts.join(',')}]`, count });
    texts = [];
    bytes = 1;
    count = 0;
  };
  // In reverse order, so that the halves of a move take its place.
  const left = [...operations].reverse();
  for (let operation = left.pop(); operation !== undefined; operation = left.pop()) {
    const text = JSON.stringify(operation);
    // With the comma or the bracket after it.
    const textBytes = countBytes(text) + 1;
    if (textBytes + 1 > LIMITS.entryBytesMax && isMove(operation)) {
      left.push(...halveMove(operation).reverse());
      continue;
    }
    if (texts.length > 0 && bytes + textBytes > LIMITS.entryBytesMax) end();
    texts.push(text);
    bytes += textBytes;
    count += countOperations([operation]);
  }
  end();
  return entries;
}

const encoder = new TextEncoder();

/** Bytes of a text as UTF-8. */
export function countBytes(text: string): number {
  return encoder.encode(text).length;
}

/*
 * The fast path for valid lists of plain objects without messages: ten times as fast as the schema. In doubt it
 * returns null, and the schema decides. It reads every member once, into an object of its own: a getter cannot change a value after the
 * check.
 */

function readOperations(value: unknown): SentOperation[] | null {
  if (!isPlain(value)) return null;
  const list = value.ops;
  if (!Array.isArray(list) || list.length === 0 || list.length > LIMITS.opsPerRequestMax) return null;
  if (countMembers(value) !== 1) return null;
  const operations: SentOperation[] = [];
  let count = 0;
  for (const item of list) {
    if (!isPlain(item)) return null;
    const isColumnar = item.op === 'move' || item.op === 'user.move';
    const operation = isColumnar ? readMove(item) : readOperation(item);
    if (operation === null) return null;
    operations.push(operation);
    count += isMove(operation) ? operation.ids.length : 1;
  }
  return count <= LIMITS.opsPerRequestMax ? operations : null;
}

function readMove(value: Record<string, unknown>): Move | null {
  const { op, ids, position, rotation, scale } = value;
  if (!Array.isArray(ids) || ids.length === 0) return null;
  const move = { op, ids: [] as string[] } as MoveOperation;
  for (const id of ids) {
    if (typeof id !== 'string' || !ID_PATTERN.test(id)) return null;
    move.ids.push(id);
  }
  let members = 2;
  if (position !== undefined) {
    members++;
    const column = readColumn(position, ids.length * COLUMNS.position);
    if (column === null) return null;
    move.position = column;
  }
  if (rotation !== undefined) {
    members++;
    const column = readColumn(rotation, ids.length * COLUMNS.rotation);
    if (column === null || !keepRotations(column)) return null;
    move.rotation = column;
  }
  if (scale !== undefined && op === 'move') {
    members++;
    const column = readColumn(scale, ids.length * COLUMNS.scale);
    if (column === null) return null;
    move.scale = column;
  }
  return members > 2 && countMembers(value) === members ? move : null;
}

function readColumn(value: unknown, length: number): number[] | null {
  if (!Array.isArray(value) || value.length !== length) return null;
  const column: number[] = [];
  for (const number of value) {
    if (!isCoordinate(number)) return null;
    column.push(number + 0);
  }
  return column;
}

/** Applies `keepRotation` to a column, in place. @returns false if one has no length. */
function keepRotations(column: number[]): boolean {
  for (let i = 0; i < column.length; i += 4) {
    const [x, y, z, w] = column.slice(i, i + 4) as [number, number, number, number];
    if (Math.abs(x * x + y * y + z * z + w * w - 1) <= SQUARE_TOLERANCE) continue;
    const kept = keepRotation({ x, y, z, w });
    if (kept === null) return false;
    column.splice(i, 4, kept.x, kept.y, kept.z, kept.w);
  }
  return true;
}

function readOperation(value: Record<string, unknown>): SentOperation | null {
  const { op, id } = value;
  if (typeof id !== 'string' || !ID_PATTERN.test(id)) return null;
  const result = startOperation(op, id);
  if (result === null) return null;
  let members = 2;
  const isAvatar = op === 'user.patch';
  if (op !== 'delete') {
    const { position, rotation, properties } = value;
    const isPartial = op === 'patch';
    if (position !== undefined) {
      members++;
      const read = readVector(position, isPartial);
      if (read === null) return null;
      result.position = read;
    }
    if (rotation !== undefined) {
      members++;
      const read = readRotation(rotation);
      if (read === null) return null;
      result.rotation = read;
    }
    if (properties !== undefined) {
      members++;
      if (!isProperties(properties)) return null;
      result.properties = properties;
    }
    if (!isAvatar) {
      const { scale, name, modelId, parentId } = value;
      if (scale !== undefined) {
        members++;
        const read = readVector(scale, isPartial);
        if (read === null) return null;
        result.scale = read;
      }
      if (name !== undefined) {
        members++;
        if (!isName(name)) return null;
        result.name = name;
      }
      if (modelId !== undefined) {
        members++;
        if (!isReference(modelId)) return null;
        result.modelId = modelId;
      }
      if (parentId !== undefined) {
        members++;
        if (!isReference(parentId)) return null;
        result.parentId = parentId;
      }
    }
  }
  if (!isAvatar && value.ifSeq !== undefined) {
    const { ifSeq } = value;
    members++;
    const read = isSeq(ifSeq) ? ifSeq + 0 : readSeqs(ifSeq);
    if (read === null) return null;
    result.ifSeq = read;
  }
  // The schema decides on a member that is unknown, or known and undefined.
  return countMembers(value) === members ? (result as SentOperation) : null;
}

interface Draft {
  op: 'put' | 'patch' | 'delete' | 'user.patch';
  id: string;
  position?: Partial<Vector3>;
  rotation?: Quaternion;
  scale?: Partial<Vector3>;
  name?: string | null;
  modelId?: string | null;
  parentId?: string | null;
  properties?: JsonObject;
  ifSeq?: Seq | Seq[];
}

function startOperation(op: unknown, id: string): Draft | null {
  return op === 'patch' || op === 'put' || op === 'delete' || op === 'user.patch' ? { op, id } : null;
}

function readVector(value: unknown, isPartial: boolean): Partial<Vector3> | null {
  if (!isPlain(value)) return null;
  const { x, y, z } = value;
  if (isCoordinate(x) && isCoordinate(y) && isCoordinate(z))
    return countMembers(value) === 3 ? { x: x + 0, y: y + 0, z: z + 0 } : null;
  if (!isPartial) return null;
  const vector: Partial<Vector3> = {};
  let members = 0;
  for (const [axis, part] of [['x', x] as const, ['y', y] as const, ['z', z] as const]) {
    if (part === undefined) continue;
    if (!isCoordinate(part)) return null;
    vector[axis] = part + 0;
    members++;
  }
  return countMembers(value) === members ? vector : null;
}

/** If the square of a length is this close to 1, the length is certainly within the tolerance. */
const SQUARE_TOLERANCE = 1.9 * LIMITS.rotationLengthTolerance;

function readRotation(value: unknown): Quaternion | null {
  if (!isPlain(value)) return null;
  const { x, y, z, w } = value;
  if (
    !isCoordinate(x) ||
    !isCoordinate(y) ||
    !isCoordinate(z) ||
    !isCoordinate(w) ||
    countMembers(value) !== 4
  )
    return null;
  const rotation = { x: x + 0, y: y + 0, z: z + 0, w: w + 0 };
  // The square root takes the time, and most rotations do not need it.
  return Math.abs(x * x + y * y + z * z + w * w - 1) <= SQUARE_TOLERANCE ? rotation : keepRotation(rotation);
}

function isProperties(value: unknown): value is JsonObject {
  return (
    isPlain(value) &&
    measureDepth(value as JsonObject, LIMITS.propertiesDepthMax) <= LIMITS.propertiesDepthMax &&
    findUnkeepable(value) === null &&
    countPrintedBytes(value as JsonValue, LIMITS.propertiesBytesMax) <= LIMITS.propertiesBytesMax
  );
}

function isName(value: unknown): value is string | null {
  if (value === null) return true;
  return (
    typeof value === 'string' &&
    value.length <= LIMITS.nameLengthMax &&
    value.isWellFormed() &&
    !value.includes('\0')
  );
}

function isSeq(value: unknown): value is Seq {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function readSeqs(value: unknown): Seq[] | null {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.conditionSeqsMax) return null;
  const seqs = Array.from(value, (seq: unknown) => (isSeq(seq) ? seq + 0 : null));
  return seqs.every((seq) => seq !== null) ? seqs : null;
}

function isReference(value: unknown): value is string | null {
  return value === null || (typeof value === 'string' && ID_PATTERN.test(value));
}

function isCoordinate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function countMembers(value: object): number {
  let members = 0;
  for (const _ in value) members++;
  return members;
}
