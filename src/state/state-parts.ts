import type { Drain } from '../log/drain.ts';
import type { LogAddress } from '../log/log-stores.ts';
import type { NoteAhead } from '../log/readers-ahead.ts';
import type { Defer, SpaceLog } from '../log/space-log.ts';
import type { Spill } from '../log/spill.ts';
import type { Seq } from '../world/types.ts';
import type { WorldView } from '../world/world-view.ts';
import type { SpaceMetadata, StateLoader, StateStore } from './state-stores.ts';
import type { ViewCache } from './view-cache.ts';

export interface StateOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  pause: (ms: number) => Promise<void>;
  /** A text that nobody else has. */
  createToken: () => string;
  /** Told of what nobody waits for. */
  onEvent: (told: { event: 'snapshot_failed'; address: LogAddress; cause: unknown }) => void;
  /** Told of each read of a cached state: whether it loaded nothing. */
  onRead?: (result: 'hit' | 'miss') => void;
  /** Told of readers whose tag is of a later state than there is. */
  noteAhead?: NoteAhead;
  /** Characters of a world's objects above which no snapshot is kept of it. */
  worldCharactersMax?: number;
  /** Characters of all the views that this process keeps; 0: none. */
  viewCharactersMax?: number;
  /** Milliseconds between two counts of hits and misses. */
  countMs?: number;
  /** Milliseconds between two renewals of a space's snapshot. */
  renewMs?: number;
  /** False: nothing is kept of states, and each is read from Postgres once that has what the log has. */
  keeps?: boolean;
  /** The requests that wait for Redis; null: none do. */
  spill?: Pick<Spill, 'list' | 'isWaiting' | 'isHeld' | 'returnSpace'> | null;
}

/** The parts of a state's ETag. */
export interface Version {
  seq: Seq;
  rev: number;
}

export type StateOutcome =
  /**
   * To be shown before anything else is awaited: the view moves on with other reads. `durableSeq`: what Postgres has, as far
   * as Redis knows. `ageMs`: for how long it may have been out of date; 0 of one that was read now. `spilled` marks a provisional
   * state, which may miss queued writes: it shows so many requests that have no place in the order yet. Its seq is `durableSeq`.
   */
  | {
      status: 'state';
      view: WorldView;
      metadata: SpaceMetadata;
      durableSeq: Seq;
      ageMs: number;
      spilled?: number;
    }
  | ({ status: 'same'; ageMs: number } & Version)
  /**
   * It is to be read from Postgres: the world is too large for a snapshot, nothing is kept, or Redis is away. `isProvisional`: Redis
   * is away, so nobody knows whether Postgres has every acknowledged write.
   */
  | { status: 'elsewhere'; isProvisional: boolean };

/** Values by name, of which those used longest ago are forgotten. */
interface Memory<Value> {
  get(name: string): Value | undefined;
  set(name: string, value: Value): unknown;
}

/** The parts that read, renew and invalidate states share. */
export interface StateParts {
  store: StateStore;
  loader: StateLoader;
  log: Pick<SpaceLog, 'open' | 'readEnds'>;
  drain: Pick<Drain, 'run'>;
  options: Required<Omit<StateOptions, 'keeps' | 'spill'>> & {
    /** Has the space's snapshot renewed, after the answer. */
    renew: (address: LogAddress, incarnation: string, defer: Defer) => void;
  };
  views: ViewCache;
  /** When this process last changed data of a tenant's states outside of its logs, in milliseconds since 1970. */
  changedMs: Memory<number>;
  outage: {
    /** When Redis first gave no answer, in milliseconds since 1970; null: it answers. */
    sinceMs: number | null;
  };
  /** Of each tenant, what is to be counted and when that was last sent. */
  counts: Memory<{ hits: number; misses: number; sentMs: number }>;
}
