import { sql } from 'drizzle-orm';
import { expect } from 'vitest';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { type MemoryEvent, MemoryFallback } from '../../src/log/memory-fallback.ts';
import { PostedBudget } from '../../src/log/posted-budget.ts';
import { Spill, type SpillEvent } from '../../src/log/spill.ts';
import type { SpillStore } from '../../src/log/spill-store.ts';
import { SpillingLog, type SpillingOptions } from '../../src/log/spilling-log.ts';
import { createSpillStore } from '../../src/postgres/spill-store.ts';
import type { AppendedOperation } from '../../src/world/operation.ts';
import { openDrain, openSpaceLog, type Rig, wrapStore } from './rig.ts';

/** A page that has every request. */
export const EVERY = { requestsMax: 1_000, bytesMax: 2 ** 30 };

/**
 * A process with a log that spills, and a memory for requests while both stores are away. Nothing returns by itself: tests call
 * `spill.returnSpace` and `memory.store`.
 * @param around runs a call of the spill store, by its method
 * @param beforeDrain runs before each drain of a return
 * @param afterDrain runs after it
 */
export function openSpilling(
  rig: Rig,
  {
    limits = { bytesMax: 2 ** 30, entriesMax: 1_000 },
    budgets = {},
    ageMsMax = Number.MAX_SAFE_INTEGER,
    now = Date.now,
    around = (_, call) => call(),
    beforeDrain = async () => undefined,
    afterDrain = async () => undefined,
  }: {
    limits?: { bytesMax: number; entriesMax: number };
    budgets?: Partial<SpillingOptions>;
    ageMsMax?: number;
    now?: () => number;
    around?: (method: string, call: () => Promise<unknown>) => Promise<unknown>;
    beforeDrain?: () => Promise<unknown>;
    afterDrain?: () => Promise<unknown>;
  } = {},
) {
  const { drain } = openDrain(rig);
  const backlog = { bytesMax: 2 ** 30, entriesMax: 1_000, ageMsMax };
  const { spaceLog, defer, options, settle } = openSpaceLog(rig, drain, { backlog });
  const told: SpillEvent[] = [];
  const memoryTold: MemoryEvent[] = [];
  const store = wrapStore<SpillStore>(createSpillStore(rig.postgres), around);
  // For ever: nothing returns by itself.
  const pause = () => new Promise<void>(() => undefined);
  const spill = new Spill(store, rig.store, {
    ...{ now, pause, idempotencyTtlSeconds: 600, limits, returnMsMax: 0 },
    onEvent: (event) => void told.push(event),
  });
  const draining: typeof drain.run = async (...args) => {
    await beforeDrain();
    const report = await drain.run(...args);
    await afterDrain();
    return report;
  };
  spill.useLog(spaceLog, { run: draining }, rig.log);
  /** By tenant: each test has one space. */
  const known = new Map<string, string>();
  const memory = new MemoryFallback(spill, {
    ...{ now, pause, limits: { bytesMax: 2 ** 26, requestsMax: 1_000 } },
    findIncarnation: ({ tenantId }) => known.get(tenantId) ?? null,
    onEvent: (event) => void memoryTold.push(event),
  });
  spill.useMemory(memory);
  const log = new SpillingLog(
    spaceLog,
    spill,
    new PostedBudget(rig.store, Date.now),
    {
      ...{ idempotencyTtlSeconds: 600, messagesPerMinute: 2, requestsPerMinute: 0, updatesPerMinute: 0, now },
      ...budgets,
    },
    memory,
  );
  return {
    ...{ log, spill, store, memory, told, memoryTold, drain, settle },
    ...{ options: { ...options(), defer }, keyed: options },
    /** Lets memory serve the space as it is now. */
    async learn(address: LogAddress) {
      const opened = await rig.store.loadCursor(address);
      known.set(address.tenantId, opened?.incarnation ?? '');
    },
  };
}

export const put = (id: string, name = id): AppendedOperation[] => [{ op: 'put', id, name }];
export const say = (id: string, userId: string | null = null): AppendedOperation[] => [
  { op: 'chat.post', id, userId, text: id, kind: 'text' },
];
export const asActor = (address: LogAddress, actor: string | null = null) => ({ ...address, actor });

/** Lets Redis answer again, and waits until it does. */
export async function endOutage(rig: Rig): Promise<void> {
  rig.upstash.clear();
  const ping = () => rig.redis.ping().then(Boolean, () => null);
  await expect.poll(() => ping().then((answer) => answer !== null)).toBe(true);
}

/** The objects of Postgres, by id. */
export async function readNames(
  rig: Rig,
  { tenantId, spaceId }: LogAddress,
): Promise<Record<string, string | null>> {
  const { objects } = (await rig.world.listObjects(tenantId, spaceId, 1_000, '')) ?? { objects: [] };
  return Object.fromEntries(objects.map(({ id, name }) => [id, name]));
}

/** The ids of the messages of Postgres, the oldest first. */
export async function readMessages(rig: Rig, { tenantId, spaceId }: LogAddress): Promise<string[]> {
  const page = await rig.world.listMessages(tenantId, spaceId, { limit: 100, before: null, after: null });
  return typeof page === 'object' && page !== null ? page.messages.map(({ id }) => id).reverse() : [];
}

/** Lets so much time pass for the keys of the spilled requests of a tenant, as Postgres counts it. */
export async function passTime(rig: Rig, { tenantId }: LogAddress, seconds: number): Promise<void> {
  await rig.postgres.inTenant(tenantId, (db) => [
    db.execute(sql`update log_spill set key_until = key_until - make_interval(secs => ${seconds}::integer)`),
  ]);
}

/** Lets the time pass in which Redis knows the keys of a tenant. */
export async function forgetKeys(rig: Rig, address: LogAddress): Promise<void> {
  await passTime(rig, address, 86_400);
  const keys = (await rig.admin.command('KEYS', `wk:{${address.tenantId}!*}:idem:*`)) as string[];
  if (keys.length > 0) await rig.admin.command('DEL', ...keys);
}
