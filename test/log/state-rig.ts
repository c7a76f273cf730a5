import type { LogAddress } from '../../src/log/log-stores.ts';
import { PersistenceLayer } from '../../src/persistence-layer.ts';
import { createStateLoader } from '../../src/postgres/operations/load-snapshot.ts';
import type { KnownLogs } from '../../src/redis/known-logs.ts';
import { createStateStore, type SnapshotOptions } from '../../src/redis/snapshot.ts';
import {
  SpaceState,
  type StateLoader,
  type StateOptions,
  type StateStore,
} from '../../src/state/space-state.ts';
import type { Operation } from '../../src/world/operation.ts';
import type { WorldState } from '../../src/world/types.ts';
import { NO_DRAIN, openDrain, openSpaceLog, type Rig, type Stores, useRig, wrapStore } from './rig.ts';

/** The parts with which a process reads states, and the number of its loads from Postgres. */
export interface StateNode {
  state: SpaceState;
  layer: PersistenceLayer;
  drain: ReturnType<typeof openDrain>['drain'];
  node: ReturnType<typeof openSpaceLog>;
  /** The number of loads of worlds and of their metadata. */
  loads: { worlds: number; arounds: number; assets: number };
  /** The events about snapshots that could not be kept. */
  told: unknown[];
  read(): Promise<WorldState & { rev: number }>;
}

/** A process with its own memory. @param changes with `viewCharactersMax: 0` it remembers nothing */
export function openStateNode(
  rig: Rig,
  address: LogAddress,
  {
    stores,
    snapshots,
    loader,
    known = rig.openKnownLogs(),
    metadata = (_method, call) => call(),
    ...changes
  }: {
    stores?: Stores;
    snapshots?: Partial<SnapshotOptions>;
    loader?: StateLoader;
    known?: KnownLogs;
    metadata?: Parameters<typeof wrapStore<StateStore>>[1];
  } & Partial<StateOptions> = {},
): StateNode {
  const { drain } = openDrain(rig, stores);
  const node = openSpaceLog(rig, drain, stores);
  const loads = { worlds: 0, arounds: 0, assets: 0 };
  const told: unknown[] = [];
  const counted = wrapStore<StateLoader>(loader ?? createStateLoader(rig.postgres), async (method, call) => {
    if (method === 'loadWorld') loads.worlds++;
    if (method === 'loadMetadata') loads.arounds++;
    if (method === 'loadAssets') loads.assets++;
    return call();
  });
  const store = wrapStore(createStateStore(rig.redis, snapshots, known), metadata);
  const state = new SpaceState(store, counted, node.spaceLog, drain, {
    now: Date.now,
    pause,
    createToken: () => crypto.randomUUID(),
    countMs: 0,
    renewMs: 0,
    onEvent: (event) => void told.push(event),
    ...changes,
  });
  drain.setSnapshotRenewer(state);
  const layer = new PersistenceLayer(
    rig.world,
    { log: node.spaceLog, defer: node.defer, state },
    { ...address, actor: null },
  );
  return { state, layer, drain, node, loads, told, read: () => layer.loadWorldState() };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

export const put = (id: string, name: string | null = null): Operation => ({ op: 'put', id, name });

/** Gives a test file its own stores, with the common calls. */
export function useStates() {
  const rig = useRig();
  return {
    rig,
    /** Appends without a drain. @returns its seq */
    async queue(address: LogAddress, ops: Operation[], key: string | null = null): Promise<number> {
      const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
      return (await spaceLog.enqueue({ ...address, actor: 'q' }, ops, options(key))).seq;
    },
    async namesOf(node: StateNode): Promise<(string | null)[]> {
      return (await node.read()).objects.map(({ name }) => name);
    },
    async findKeys({ tenantId, spaceId }: LogAddress, ending: string): Promise<string[]> {
      return (await rig.admin.command('KEYS', `wk:{${tenantId}!${spaceId}}:*:${ending}`)) as string[];
    },
  };
}
