import { sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { LogAddress, StageOutcome, StageStep } from '../../log/log-stores.ts';
import type { Postgres } from '../client.ts';
import { encodeIncidents } from './apply-batch.ts';
import { sweepWorlds } from './stage.ts';

/** Makes a staged world the space's, at its entry in the log; see apply_stage. The old world is removed later. */
export async function applyStage(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  { incarnation, from, to, stageId, mode, actor, requestId, waits, incidents, isDirect = false }: StageStep,
  { auditsMoves }: { auditsMoves: boolean },
): Promise<StageOutcome> {
  const deadLetterId = uuidv7();
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({
        status: sql<StageOutcome['status']>`status`,
        atCursor: sql<string | null>`at_cursor`,
        atIncarnation: sql<string | null>`at_incarnation`,
        objects: sql<number | null>`objects`,
      })
      .from(
        sql`apply_stage(${spaceId}, ${incarnation}, ${from}::bigint, ${to}::bigint, ${stageId}, ${mode}, ${actor}, ${requestId ?? null}, ${waits}::boolean, ${deadLetterId}, ${encodeIncidents(incidents)}, ${isDirect}::boolean, ${auditsMoves}::boolean)`,
      ),
  ]);
  switch (row?.status) {
    case 'applied':
      await sweepWorlds(postgres, tenantId, spaceId);
      return { status: 'applied', objects: row.objects ?? 0 };
    case 'dead':
      return {
        status: 'dead',
        dead: { deadLetterId, seq: to, index: 0, kind: 'stage', id: stageId, propertyKeys: [] },
      };
    case 'moved':
      return { status: 'moved', cursor: Number(row.atCursor), incarnation: row.atIncarnation ?? '' };
    case 'unknown_space':
    case 'log_open':
      return { status: row.status };
    default:
      throw new Error('apply_stage gave no outcome');
  }
}
