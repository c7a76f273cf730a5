import type { WorldLog } from '../log/world-log.ts';
import type { Counting } from './metrics.ts';

/** The same log. It counts the operations of each write by what the answer promises; a repeat under the same key counts again. */
export function countWrites(log: WorldLog, metrics: Counting): WorldLog {
  const counted = async <T extends { status: string; accepted: number }>(write: Promise<T>): Promise<T> => {
    const outcome = await write;
    metrics.add('worldkeep_operations_appended_total', { durability: outcome.status }, outcome.accepted);
    return outcome;
  };
  return {
    get commitsAlways() {
      return log.commitsAlways;
    },
    enqueue: (...args) => counted(log.enqueue(...args)),
    commit: (...args) => counted(log.commit(...args)),
    commitStage: (...args) => counted(log.commitStage(...args)),
    applySettings: (...args) => log.applySettings(...args),
    retire: (...args) => log.retire(...args),
    readLag: (...args) => log.readLag(...args),
  };
}
