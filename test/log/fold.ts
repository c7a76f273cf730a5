import { sql } from 'drizzle-orm';
import { expect } from 'vitest';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { dirtyKey, spaceMember } from '../../src/redis/keys.ts';
import { expandOperations } from '../../src/world/move.ts';
import type { LogEntry, OperationResult, StageOperation } from '../../src/world/operation.ts';
import { isStage } from '../../src/world/operation-effects.ts';
import { type ReplayWorld, replayEntry } from '../../src/world/replay.ts';
import type { ObjectInput, WorldObject } from '../../src/world/types.ts';
import { pickGiven } from '../layers.ts';
import { PEOPLE, type Rig } from './rig.ts';

/** The objects of each stage, by its id. */
export type Stages = ReadonlyMap<string, readonly ObjectInput[]>;

/** All entries in the log of a space, drained or not. */
export async function readLog({ openLogStore }: Rig, address: LogAddress): Promise<LogEntry[]> {
  const log = openLogStore();
  const entries: LogEntry[] = [];
  for (let after = 0; ; after = entries.at(-1)?.seq ?? after) {
    const read = await log.read(address, { after, token: null, bytesMax: 2 ** 22, entriesMax: 5_000 });
    if (read.status !== 'read') throw new Error(`the log cannot be read: ${read.status}`);
    if (read.entries.length === 0) return entries;
    for (const { seq, prev, actor, ops, waits } of read.entries)
      entries.push({ seq, prev, actor, ops: [...expandOperations(JSON.parse(ops))], waits });
  }
}

export function emptyWorld(): ReplayWorld {
  return {
    objects: new Map(),
    avatars: new Map(),
    removed: new Map(),
    people: new Set(PEOPLE),
    messages: new Map(),
  };
}

/** Applies the entries to a world, in order. @returns the results of each entry's operations. */
export function foldLog(
  world: ReplayWorld,
  entries: readonly LogEntry[],
  stages: Stages = new Map(),
): Map<number, OperationResult[]> {
  return new Map(
    entries.map((entry) => [
      entry.seq,
      isStage(entry) ? foldStage(world, entry, stages) : replayEntry(world, entry),
    ]),
  );
}

function foldStage(world: ReplayWorld, { seq, actor, ops }: LogEntry, stages: Stages): OperationResult[] {
  const { id, mode } = ops[0] as StageOperation;
  const objects = stages.get(id);
  if (objects === undefined) throw new Error('the log names an unknown stage');
  if (mode === 'replace') world.objects.clear();
  for (const object of objects) {
    const kept = world.objects.get(object.id);
    const made = { ...structuredClone(pickGiven(object as WorldObject)), seq, updatedBy: actor };
    const { createdSeq, createdBy } = kept ?? { createdSeq: seq, createdBy: actor };
    world.objects.set(object.id, { ...made, createdSeq, createdBy });
  }
  return [{ id, status: 'applied' }];
}

/** The objects, avatars and messages of a space in Postgres, to compare with `showWorld`. */
export async function loadState({ store, world }: Rig, address: LogAddress): Promise<Shown> {
  const ids: string[] = [];
  for (let after = ''; ; after = ids.at(-1) ?? '') {
    const page = await world.listObjects(address.tenantId, address.spaceId, 1_000, after);
    if (page === null) throw new Error('the space does not exist');
    ids.push(...page.objects.map(({ id }) => id));
    if (!page.more) break;
  }
  const objects = await store.loadObjects(address, ids);
  const shown = objects.map(({ spaceId, createdAt, updatedAt, ...object }) => object);
  const avatars = sortById(await store.loadAvatars(address, PEOPLE));
  const places = { limit: 200, before: null, after: null };
  const chat = await world.listMessages(address.tenantId, address.spaceId, places);
  if (chat === null || typeof chat === 'string' || chat.more) throw new Error('not all messages are listed');
  const messages = chat.messages.map(({ createdAt, ...message }) => message);
  return { objects: sortById(shown), avatars, messages: sortById(messages) };
}

interface Shown {
  objects: unknown[];
  avatars: unknown[];
  messages: unknown[];
}

export function showWorld(world: ReplayWorld): Shown {
  return {
    objects: sortById([...world.objects.values()].map(({ createdSeq, ...object }) => object)),
    avatars: sortById([...world.avatars.values()].map(({ seq, ...avatar }) => avatar)),
    messages: sortById([...(world.messages?.values() ?? [])]),
  };
}

function sortById<T extends { id: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Checks the invariant: Postgres has reached the end of the log, its world equals the entries applied in order, and no
 * entry is pending. The log must not be trimmed. @returns the entries, and the results of each entry's operations.
 */
export async function expectDrained(
  rig: Rig,
  address: LogAddress,
  { stages = new Map(), world = emptyWorld() }: { stages?: Stages; world?: ReplayWorld } = {},
): Promise<{ entries: LogEntry[]; results: Map<number, OperationResult[]> }> {
  const entries = await readLog(rig, address);
  const results = foldLog(world, entries, stages);
  for (const [i, { prev }] of entries.entries()) if (i > 0) expect(prev).toBe(entries[i - 1]?.seq);
  const cursor = await rig.store.loadCursor(address);
  expect(cursor?.cursor).toBe(entries.at(-1)?.seq ?? cursor?.cursor);
  expect(await loadState(rig, address)).toEqual(showWorld(world));
  expect(await rig.log.readBacklog(address)).toMatchObject({
    operations: 0,
    entries: 0,
    bytes: 0,
    oldestSeq: null,
  });
  expect(await isDirty(rig, address)).toBe(false);
  return { entries, results };
}

/** Whether the next sweep would drain the space. */
export async function isDirty({ admin }: Rig, address: LogAddress): Promise<boolean> {
  const shards = Array.from({ length: 16 }, (_, shard) => dirtyKey(shard));
  const scores = await admin.pipeline(
    shards.map((shard) => ['ZSCORE', shard, spaceMember(address)] as const),
  );
  return scores.some((score) => score !== null);
}

/** The stored incidents of a space, oldest first. */
export async function listIncidents(
  { postgres }: Rig,
  { tenantId, spaceId }: LogAddress,
): Promise<{ kind: string; detail: Record<string, unknown> }[]> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ kind: sql<string>`kind`, detail: sql<string>`detail::text` })
      .from(sql`incidents where space_id = ${spaceId} order by incident_id`),
  ]);
  return rows.map(({ kind, detail }) => ({ kind, detail: JSON.parse(detail) }));
}
