import { checkOperations } from './world/check-operations.ts';
import { AppError } from './world/errors.ts';
import { isMove } from './world/move.ts';
import type { Operation } from './world/operation.ts';
import { checkId } from './world/schemas.ts';
import { readThreeValues } from './world/three-values.ts';

/**
 * The types of `add`. `chatMessages`: `{userId?, text, kind?, id?}` posts a message. `objectUpdates`: `{objectId, …fields}` changes the given fields of an object. `objectSaves`: the same,
 * for a whole object. `objectDeletes`: `{objectId}`. `userUpdates`: `{userId, position?, rotation?, properties?}` moves an avatar.
 * `operations`: `{op, id, …}`, as the API has them. Each may name its `spaceId` and its `updatedBy`. `events`: `{type, id?, spaceId?, userId?,
 * at?, data?}` is an event for analysts, and no part of a world.
 */
export const BATCH_TYPES = [
  'objectUpdates',
  'objectSaves',
  'objectDeletes',
  'userUpdates',
  'chatMessages',
  'operations',
  'events',
] as const;
export type BatchType = (typeof BATCH_TYPES)[number];

/** @throws validation_failed */
export function readType(type: string): BatchType {
  const known = BATCH_TYPES.find((candidate) => candidate === type);
  if (known !== undefined) return known;
  throw invalid('/type', `must be one of ${BATCH_TYPES.join(', ')}`);
}

const OP_OF = {
  objectUpdates: 'patch',
  objectSaves: 'put',
  objectDeletes: 'delete',
  userUpdates: 'user.patch',
  chatMessages: 'chat.post',
} as const;

/**
 * The operation of one call of `add`.
 * @throws validation_failed
 */
export function readItem(
  type: Exclude<BatchType, 'events'>,
  input: unknown,
): { spaceId: string | undefined; actor: string | null; operation: Operation; bytes: number } {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw invalid('', 'must be an object');
  const { spaceId, updatedBy, objectId, userId, ...fields } = readThreeValues(input) as Record<
    string,
    unknown
  >;
  const isMessage = type === 'chatMessages' || fields.op === 'chat.post';
  const operation =
    type === 'operations'
      ? { ...fields, ...(isMessage && userId !== undefined && { userId }) }
      : type === 'chatMessages'
        ? { ...fields, op: OP_OF[type], userId: userId ?? null }
        : { ...fields, op: OP_OF[type], id: (type === 'userUpdates' ? userId : objectId) ?? fields.id };
  const [checked] = checkOperations({ ops: [operation] });
  if (checked === undefined || isMove(checked))
    throw invalid(
      '/op',
      'must be an operation on one object or person: they are sent together as moves anyway',
    );
  const text = JSON.stringify(checked);
  return {
    spaceId: spaceId === undefined ? undefined : checkId(spaceId, '/spaceId'),
    actor: readActor(updatedBy ?? (isMessage ? userId : null)),
    // The caller's own objects may be changed before it is sent.
    operation: JSON.parse(text) as Operation,
    bytes: text.length,
  };
}

function readActor(id: unknown): string | null {
  return id === undefined || id === null ? null : checkId(id, '/updatedBy');
}

function invalid(path: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', { errors: [{ path, message }] });
}
