import type { LogAddress } from '../log/log-stores.ts';
import type { Defer } from '../log/space-log.ts';
import { versionUnsettled } from '../state/read-spilled.ts';
import { findShownAssets, isComplete } from '../state/shown-assets.ts';
import type { SpaceState, Version } from '../state/space-state.ts';
import { writeState } from '../state/state-text.ts';
import { isAway, notFound } from '../world/errors.ts';
import {
  readView,
  STATE_PARTS,
  type StateLine,
  type StateView,
  writeStateLines,
} from '../world/state-lines.ts';
import type { WorldState } from '../world/types.ts';
import type { WorldLog, WorldStore } from './world-stores.ts';

/** The sources of a world: its cached state, or the database. */
export interface ReadContext {
  store: WorldStore;
  /** Null: nothing is kept, and no log is ahead of the database. */
  state: Pick<SpaceState, 'read' | 'waitUntilCommitted'> | null;
  address: LogAddress;
  defer: Defer;
}

/** A state as JSON, and what its ETag is made of. */
export interface RenderedState extends Version {
  status: 'state';
  text: string;
  /** False: it is provisional, or Postgres could not tell who somebody is, or what a model is. Later the same version has more. */
  isWhole: boolean;
  /** Milliseconds for which it may have been out of date. */
  ageMs: number;
}

export async function renderState(
  context: ReadContext,
  view: StateView,
  { version, maxStaleMs = 0 }: { version: Version | null; maxStaleMs?: number },
): Promise<RenderedState | ({ status: 'same'; ageMs: number } & Version)> {
  const { selection, include } = readView(view);
  const { store, state, address, defer } = context;
  let mark: { spilled?: number } = {};
  if (state !== null) {
    const outcome = await state.read(address, { version, maxStaleMs, defer });
    if (outcome.status === 'same') return outcome;
    if (outcome.status === 'state') {
      const { spilled, view, durableSeq } = outcome;
      const isProvisional = spilled !== undefined;
      const seq = isProvisional ? durableSeq : view.seq;
      const { rev } = outcome.metadata;
      // A provisional state has no ETag: spilled writes have no place in the order yet, and queued ones may be missing.
      const isWhole = !isProvisional && isComplete(outcome);
      const text = writeState(outcome, include, selection.region);
      return { status: 'state', seq, rev, text, isWhole, ageMs: outcome.ageMs };
    }
    if (outcome.isProvisional) mark = { spilled: 0 };
  }
  const world = await store.loadWorld(address.tenantId, address.spaceId, selection);
  if (world === null) throw notFound('this space');
  const { rev, space, seq, durableSeq, ...parts } = world;
  const included = STATE_PARTS.flatMap((part) => (include.has(part) ? [[part, parts[part]]] : []));
  const text = JSON.stringify({ space, seq, durableSeq, ...mark, ...Object.fromEntries(included) });
  return { status: 'state', seq, rev, text, isWhole: mark.spilled === undefined, ageMs: 0 };
}

/** The same as it is held; a list that was not asked for is empty. */
export async function loadState(
  context: ReadContext,
  view: StateView,
): Promise<WorldState & { rev: number }> {
  const rendered = await renderState(context, view, { version: null });
  if (rendered.status !== 'state') throw notFound('this space');
  const empty = { objects: [], users: [], models: [], media: [], chat: [] };
  return { ...empty, ...(JSON.parse(rendered.text) as WorldState), rev: rendered.rev };
}

export async function streamState(
  context: ReadContext,
  view: StateView,
): Promise<Version & { isProvisional: boolean; lines: AsyncGenerator<StateLine> }> {
  const { selection, include } = readView(view);
  const { store, state, address, defer } = context;
  const isProvisional = (await state?.waitUntilCommitted(address, defer)) === 'away';
  const reader = await store.streamWorld(address.tenantId, address.spaceId, {
    ...selection,
    withAllChat: include.has('chat'),
  });
  if (reader === null) throw notFound('this space');
  const { seq, rev, parts } = reader;
  return { seq, rev, isProvisional, lines: writeStateLines(parts, include, { isProvisional }) };
}

/** Whether the state shows a model or a media file. */
export async function referencesAsset(
  { store, state, address, defer }: ReadContext,
  kind: 'model' | 'media',
  id: string,
): Promise<boolean> {
  const outcome = (await state?.read(address, { defer })) ?? null;
  if (outcome?.status !== 'state') return store.referencesAsset(address.tenantId, address.spaceId, kind, id);
  return findShownAssets(outcome)[kind === 'model' ? 'models' : 'media'].has(id);
}

/** The parts of a state's ETag, without the state. */
export async function readVersion({ store, state, address, defer }: ReadContext): Promise<Version> {
  const outcome = (await state?.read(address, { version: 'any', defer })) ?? null;
  if (outcome?.status === 'same') return { seq: outcome.seq, rev: outcome.rev };
  if (outcome?.status === 'state' && outcome.spilled === undefined)
    return { seq: outcome.view.seq, rev: outcome.metadata.rev };
  if (outcome?.status === 'state' || outcome?.isProvisional) throw versionUnsettled();
  const version = await store.loadStateVersion(address.tenantId, address.spaceId);
  if (version === null) throw notFound('this space');
  return version;
}

/** How far the database is behind the log; while that cannot be reached, not at all. */
export async function readLag(log: WorldLog, address: LogAddress): ReturnType<WorldLog['readLag']> {
  try {
    return await log.readLag(address);
  } catch (error) {
    if (isAway(error)) return { seq: null, durabilityLagMs: 0 };
    throw error;
  }
}
