import type {
  AppendedOperation,
  LogOperation,
  MoveOperation,
  Operation,
  PatchOperation,
  StageOperation,
  UserMoveOperation,
  UserPatchOperation,
} from './operation.ts';
import type { Quaternion, Vector3 } from './types.ts';

/*
 * A move holds patches of many objects in columns. It needs a third of the bytes, and of the time to parse and to
 * print. It has the effect of a patch of each object, in order, and counts as that many operations.
 */

export type Move = MoveOperation | UserMoveOperation;

export function isMove(operation: { op: string }): operation is Move {
  return operation.op === 'move' || operation.op === 'user.move';
}

/** Whether an operation, or the row of several, changes only places: positions, rotations and scales. */
export function movesOnly(operation: {
  op?: string;
  kind?: string;
  name?: unknown;
  modelId?: unknown;
  parentId?: unknown;
  properties?: unknown;
  patches?: unknown;
}): boolean {
  const { op, kind, name, modelId, parentId, properties, patches } = operation;
  if (op === 'move' || op === 'user.move') return true;
  return (
    (op === 'patch' || op === 'user.patch' || kind === 'patch') &&
    name === undefined &&
    modelId === undefined &&
    parentId === undefined &&
    properties === undefined &&
    patches === undefined
  );
}

/** The number of operations in a list: each element of a move is one. */
export function countOperations(operations: readonly { op: string }[]): number {
  let count = 0;
  for (const operation of operations) count += isMove(operation) ? operation.ids.length : 1;
  return count;
}

/** @returns the list with patches in place of each move; the given list if it has no move. */
export function expandOperations(operations: readonly AppendedOperation[]): readonly Operation[];
export function expandOperations(
  operations: readonly (AppendedOperation | StageOperation)[],
): readonly LogOperation[];
export function expandOperations(
  operations: readonly (AppendedOperation | StageOperation)[],
): readonly LogOperation[] {
  if (!operations.some(isMove)) return operations as readonly LogOperation[];
  const expanded: LogOperation[] = [];
  for (const operation of operations) {
    if (!isMove(operation)) expanded.push(operation);
    else for (let i = 0; i < operation.ids.length; i++) expanded.push(toPatch(operation, i));
  }
  return expanded;
}

function toPatch(move: Move, i: number): PatchOperation | UserPatchOperation {
  const { op, ids, position, rotation } = move;
  const patch: PatchOperation | UserPatchOperation = {
    op: op === 'move' ? 'patch' : 'user.patch',
    id: ids[i] as string,
  };
  if (position !== undefined) patch.position = toVector(position, i);
  if (rotation !== undefined) patch.rotation = toRotation(rotation, i);
  if (op === 'move' && move.scale !== undefined) (patch as PatchOperation).scale = toVector(move.scale, i);
  return patch;
}

function toVector(column: readonly number[], i: number): Vector3 {
  const at = i * 3;
  return { x: column[at] as number, y: column[at + 1] as number, z: column[at + 2] as number };
}

function toRotation(column: readonly number[], i: number): Quaternion {
  const at = i * 4;
  return {
    x: column[at] as number,
    y: column[at + 1] as number,
    z: column[at + 2] as number,
    w: column[at + 3] as number,
  };
}

/** The columns of a move, each with its count of numbers for one element. */
export const COLUMNS = { position: 3, rotation: 4, scale: 3 } as const;

/** @returns two moves that have the same effect, in order. The given move must have two elements or more. */
export function halveMove(move: Move): [Move, Move] {
  const half = move.ids.length >> 1;
  const cut = (from: number, to?: number): Move => {
    const part = { ...move, ids: move.ids.slice(from, to) } as MoveOperation;
    for (const name of ['position', 'rotation', 'scale'] as const) {
      const column = part[name];
      const width = COLUMNS[name];
      if (column !== undefined) part[name] = column.slice(from * width, to === undefined ? to : to * width);
    }
    return part as Move;
  };
  return [cut(0, half), cut(half)];
}

/**
 * Prints adjacent operations that only move, with the same columns, as one move. The order stays: the list has the same
 * effect, and its elements keep their places.
 */
export function packMoves(operations: readonly Operation[]): AppendedOperation[] {
  const packed: AppendedOperation[] = [];
  for (let from = 0; from < operations.length; ) {
    const kind = describeMove(operations[from] as Operation);
    let to = from + 1;
    if (kind !== null)
      while (to < operations.length && describeMove(operations[to] as Operation) === kind) to++;
    const run = operations.slice(from, to);
    if (run.length > 1) packed.push(toMove(run as (PatchOperation | UserPatchOperation)[]));
    else packed.push(...run);
    from = to;
  }
  return packed;
}

/** The operation's kind and columns; null if it does more than move, or gives a part of a vector. */
function describeMove(operation: Operation): string | null {
  if (operation.op !== 'patch' && operation.op !== 'user.patch') return null;
  let kind = operation.op === 'patch' ? 'move' : 'user.move';
  for (const name in operation) {
    if (name === 'op' || name === 'id') continue;
    const value: unknown = operation[name as keyof typeof operation];
    if (value === undefined) continue;
    if (name !== 'position' && name !== 'rotation' && name !== 'scale') return null;
    if (Object.keys(value ?? {}).length !== COLUMNS[name]) return null;
    kind += ` ${name}`;
  }
  return kind.includes(' ') ? kind : null;
}

function toMove(run: readonly (PatchOperation | UserPatchOperation)[]): Move {
  const [first] = run as [PatchOperation | UserPatchOperation];
  const move: MoveOperation = {
    op: (first.op === 'patch' ? 'move' : 'user.move') as 'move',
    ids: run.map(({ id }) => id),
  };
  const toNumbers = ({ x, y, z }: Partial<Vector3>) => [x, y, z] as number[];
  if (first.position !== undefined) move.position = run.flatMap(({ position }) => toNumbers(position ?? {}));
  if (first.rotation !== undefined)
    move.rotation = run.flatMap(({ rotation }) => [...toNumbers(rotation ?? {}), (rotation as Quaternion).w]);
  if ('scale' in first && first.scale !== undefined)
    move.scale = run.flatMap((patch) => toNumbers((patch as PatchOperation).scale ?? {}));
  return move;
}
