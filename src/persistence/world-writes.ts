import type { AppendOptions, CommittedOperations, Queued } from '../log/space-log.ts';
import type { Spilled } from '../log/world-log.ts';
import { AppError, notFound } from '../world/errors.ts';
import type { Condition, Operation } from '../world/operation.ts';
import type { ObjectInput, ObjectPatch, SaveMode, Seq, WorldObject, WrittenObject } from '../world/types.ts';
import type { Precondition, WorldLog, WriteTarget } from './world-stores.ts';

/** A write that will be committed, and had not when its caller could or would wait no longer. */
export class WriteQueued extends AppError {
  /** Absent for a spilled write, which gets its place in the order later. */
  readonly seq: Seq | undefined;
  readonly accepted: number;
  readonly durability: 'queued' | 'spilled' | 'memory';

  constructor(outcome: Queued | Spilled) {
    const { status, accepted } = outcome;
    super(
      'write_queued',
      status === 'queued'
        ? 'The write is queued and will be committed; that took longer than can be waited for.'
        : 'Redis is away. The write takes its place in the order when Redis returns.',
      { retryAfterSeconds: 2 },
    );
    this.seq = outcome.status === 'queued' ? outcome.seq : undefined;
    this.accepted = accepted;
    this.durability = status;
  }
}

/** Where a write goes, through which order, and what goes on after its answer. */
export interface WriteContext {
  log: WorldLog;
  target: WriteTarget;
  options: AppendOptions;
  /** The commit is not waited for. */
  queues: boolean;
}

export async function putObject(
  context: WriteContext,
  object: ObjectInput,
  precondition: Precondition,
): Promise<{ object: WorldObject; created: boolean }> {
  const operation: Operation = { op: 'put', ...object, ...toCondition(precondition) };
  const { object: written, createdSeq } = await commitOne(context, operation);
  return { object: written, created: createdSeq === written.seq };
}

export async function patchObject(
  context: WriteContext,
  objectId: string,
  patch: ObjectPatch,
  precondition: Precondition,
): Promise<WorldObject> {
  const operation: Operation = { op: 'patch', ...patch, id: objectId, ...toCondition(precondition) };
  return (await commitOne(context, operation)).object;
}

export async function deleteObject(
  context: WriteContext,
  objectId: string,
  precondition: Precondition,
): Promise<{ seq: Seq }> {
  const { seq } = await commit(context, { op: 'delete', id: objectId, ...toCondition(precondition) }, false);
  return { seq };
}

/** Makes a staged world the space's. @throws conflict where the stage was given up before its turn came; WriteQueued */
export async function commitStage(
  { log, target, options }: WriteContext,
  { stageId, objects, mode }: { stageId: string; objects: number; mode: SaveMode },
): Promise<{ seq: Seq; objects: number }> {
  const outcome = readCommitted(await log.commitStage(target, { stageId, mode }, options));
  if (outcome.results[0]?.status === 'rejected')
    throw new AppError('conflict', 'The world took too long to arrive and was given up; send it again.');
  return { seq: outcome.seq, objects };
}

function toCondition({ ifSeq, ifExists }: Precondition): Condition {
  return {
    ...(ifSeq !== undefined && { ifSeq: [...ifSeq] }),
    ...(ifExists !== undefined && { ifExists }),
  };
}

/** @returns the object as the operation left it, whatever other writers did since. */
async function commitOne(context: WriteContext, operation: Operation): Promise<WrittenObject> {
  const { written } = await commit(context, operation, true);
  if (!written)
    throw new AppError('internal', 'A write was applied, and the object that it left is missing.');
  return written;
}

/** Appends one operation and waits for its outcome. @throws WriteQueued; precondition_failed, not_found */
export async function commit(
  { log, target, options, queues }: WriteContext,
  operation: Operation,
  returnsObject: boolean,
): Promise<CommittedOperations> {
  const how = queues && !log.commitsAlways ? 'enqueue' : 'commit';
  const outcome = readCommitted(await log[how](target, [operation], { ...options, returnsObject }));
  switch (outcome.results[0]?.status) {
    case 'applied':
      return outcome;
    case 'conflict':
      throw new AppError('precondition_failed', 'The object is not as the request requires it to be.');
    case 'rejected':
      throw new AppError('properties_too_large', 'The properties exceed the size limit for an object.', {
        errors: [{ path: '/properties', message: 'must use at most 65536 bytes in the database' }],
      });
    default:
      throw notFound(
        operation.op === 'chat.delete' ? 'this message in this space' : 'this object in this space',
      );
  }
}

function readCommitted(outcome: Queued | CommittedOperations | Spilled): CommittedOperations {
  if (outcome.status !== 'committed') throw new WriteQueued(outcome);
  return outcome;
}
