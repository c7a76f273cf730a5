import { type SQL, sql } from 'drizzle-orm';
import type { Precondition, Refusal, WriteTarget } from '../../persistence-layer.ts';
import type { ObjectInput, ObjectPatch, Seq, WorldObject } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { asJson, asSeqs, toPatchRecord, toRecord, toWorldObject } from '../rows.ts';
import { spaces } from '../schema/spaces.ts';
import { selectObject } from './load-object.ts';
import { isLive } from './load-space.ts';

type Outcome = 'created' | 'replaced' | 'patched' | 'deleted' | Refusal;

/** A call of one of the write functions, which answer with their outcome's name. */
function callWrite(db: Database, call: SQL) {
  return db.select({ status: sql<Outcome>`status` }).from(sql`${call} as status`);
}

function asConditions({ ifSeq, ifExists }: Precondition): SQL {
  return sql`${asSeqs(ifSeq)}, ${ifExists ?? null}::boolean`;
}

/** Creates the object or replaces it whole; the transaction holds its space's place in the order until it ends. */
export async function putObject(
  postgres: Postgres,
  { tenantId, spaceId, actor }: WriteTarget,
  object: ObjectInput,
  precondition: Precondition,
): Promise<{ object: WorldObject; created: boolean } | Refusal> {
  const [[outcome], rows] = await postgres.inTenant(tenantId, (db) => [
    callWrite(
      db,
      sql`put_object(${spaceId}, ${actor}, ${asJson(toRecord(object))}, ${asConditions(precondition)})`,
    ),
    selectObject(db, tenantId, spaceId, object.id),
  ]);
  const status = outcome?.status;
  if (status !== 'created' && status !== 'replaced') return status as Refusal;
  return { object: readWritten(rows, spaceId), created: status === 'created' };
}

export async function patchObject(
  postgres: Postgres,
  { tenantId, spaceId, actor }: WriteTarget,
  objectId: string,
  patch: ObjectPatch,
  precondition: Precondition,
): Promise<WorldObject | Refusal> {
  const [[outcome], rows] = await postgres.inTenant(tenantId, (db) => [
    callWrite(
      db,
      sql`patch_object(${spaceId}, ${actor}, ${objectId}, ${asJson(toPatchRecord(patch))}, ${asConditions(precondition)})`,
    ),
    selectObject(db, tenantId, spaceId, objectId),
  ]);
  const status = outcome?.status;
  return status === 'patched' ? readWritten(rows, spaceId) : (status as Refusal);
}

export async function deleteObject(
  postgres: Postgres,
  { tenantId, spaceId }: WriteTarget,
  objectId: string,
  precondition: Precondition,
): Promise<{ seq: Seq } | Refusal> {
  const [[outcome], [space]] = await postgres.inTenant(tenantId, (db) => [
    callWrite(db, sql`delete_object(${spaceId}, ${objectId}, ${asConditions(precondition)})`),
    db.select({ seq: spaces.logCursor }).from(spaces).where(isLive(tenantId, spaceId)),
  ]);
  const status = outcome?.status;
  return status === 'deleted' && space !== undefined ? { seq: space.seq } : (status as Refusal);
}

/** The object just written: read in the same transaction, under the space's lock, so it is this write's. */
function readWritten(rows: Awaited<ReturnType<typeof selectObject>>, spaceId: string): WorldObject {
  const row = rows[0];
  if (row === undefined) throw new Error('an object is not there right after its write');
  return toWorldObject(row, spaceId, row.generationSeq);
}
