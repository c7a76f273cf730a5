import type { CommittedOperations } from '../../src/log/space-log.ts';
import type { Seq } from '../../src/world/types.ts';
import type { AppContext } from './context.ts';

/** The place of an acknowledged write: Postgres, the log, Postgres until Redis returns, or this process until a store returns. */
export type Durability = 'committed' | 'queued' | 'spilled' | 'memory';

/** Tells the caller which store holds the write. */
export function writeDurability(c: AppContext, durability: Durability): void {
  c.header('X-Durability', durability);
}

/** The answer to a write that will be committed. A spilled one has no seq yet. */
export function answerAccepted(
  c: AppContext,
  {
    seq,
    accepted,
    durability,
  }: { seq?: Seq | undefined; accepted: number; durability: Exclude<Durability, 'committed'> },
): Response {
  writeDurability(c, durability);
  return c.json({ ...(seq !== undefined && { seq }), accepted, durability }, 202);
}

/** The answer to a write that waited for its commit. */
export function answerCommitted(c: AppContext, { seq, results }: CommittedOperations): Response {
  writeDurability(c, 'committed');
  return c.json({ seq, durability: 'committed', results });
}
