import type { DeadLetterStore } from '../log/dead-letters.ts';
import type { IncidentStore } from '../log/incidents.ts';
import type { DrainStore, LogAddress, StagedWorld } from '../log/log-stores.ts';
import type { WriteTarget } from '../log/world-log.ts';
import type { WorldItem } from '../world/state-lines.ts';
import type { WorldInput } from '../world/types.ts';
import type { Postgres } from './client.ts';
import { applyBatch } from './operations/apply-batch.ts';
import { applyStage } from './operations/apply-stage.ts';
import { sweepAllRecords } from './operations/clean-records.ts';
import {
  claimReplay,
  discardDeadLetter,
  listDeadLetters,
  listUncorrected,
  loadDeadLetter,
  markCorrected,
  markReplayed,
  releaseReplay,
} from './operations/dead-letters.ts';
import { deleteSpace } from './operations/delete-space.ts';
import { dropStage } from './operations/drop-stage.ts';
import { listIncidents } from './operations/list-incidents.ts';
import { readWritten } from './operations/load-object.ts';
import { loadAvatars, loadObjects } from './operations/load-some.ts';
import { loadCursor, loadSeqs, noteReaderAhead, openLog, readResults } from './operations/open-log.ts';
import { stageWorldStream } from './operations/stage-stream.ts';
import { stageWorld } from './operations/stage-world.ts';

/** The work around a drain: staged worlds, records, and the end of a space's log. */
export interface LogRecords extends DeadLetterStore, IncidentStore {
  /** Stages a world that an entry of the log is to name. */
  stageWorld(target: WriteTarget, world: WorldInput): Promise<StagedWorld | 'unknown_space'>;
  /** The same, chunk by chunk as it arrives; the last item is `around`. */
  stageWorldStream(
    target: WriteTarget,
    items: AsyncIterable<WorldItem[]>,
  ): Promise<StagedWorld | 'unknown_space'>;
  /** @returns the incarnation whose log is to be retired; null where there is no such space. */
  deleteSpace(address: LogAddress): Promise<{ incarnation: string } | null>;
}

/**
 * The store of SpaceLog and Drain, on Postgres: each method is the operation of the same name.
 * @param audit.auditsMoves moves are written into the audit too
 */
export function createDrainStore(
  postgres: Postgres,
  audit: { auditsMoves: boolean } = { auditsMoves: false },
): DrainStore & LogRecords {
  return {
    openLog: (...args) => openLog(postgres, ...args),
    loadCursor: (...args) => loadCursor(postgres, ...args),
    noteReaderAhead: (...args) => noteReaderAhead(postgres, ...args),
    loadSeqs: (...args) => loadSeqs(postgres, ...args),
    applyBatch: (...args) => applyBatch(postgres, ...args, audit),
    applyStage: (...args) => applyStage(postgres, ...args, audit),
    dropStage: (...args) => dropStage(postgres, ...args),
    readResults: (...args) => readResults(postgres, ...args),
    readWritten: (...args) => readWritten(postgres, ...args),
    listUncorrected: (...args) => listUncorrected(postgres, ...args),
    markCorrected: (...args) => markCorrected(postgres, ...args),
    loadObjects: (...args) => loadObjects(postgres, ...args),
    loadAvatars: (...args) => loadAvatars(postgres, ...args),
    stageWorld: (...args) => stageWorld(postgres, ...args),
    stageWorldStream: (...args) => stageWorldStream(postgres, ...args),
    deleteSpace: ({ tenantId, spaceId }) => deleteSpace(postgres, tenantId, spaceId),
    listDeadLetters: (...args) => listDeadLetters(postgres, ...args),
    loadDeadLetter: (...args) => loadDeadLetter(postgres, ...args),
    discardDeadLetter: (...args) => discardDeadLetter(postgres, ...args),
    claimReplay: (...args) => claimReplay(postgres, ...args),
    releaseReplay: (...args) => releaseReplay(postgres, ...args),
    markReplayed: (...args) => markReplayed(postgres, ...args),
    listIncidents: (...args) => listIncidents(postgres, ...args),
    sweepAllRecords: (...args) => sweepAllRecords(postgres, ...args),
  };
}
