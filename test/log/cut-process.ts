import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import { pause } from '../../src/helpers/time.ts';
import { AssetLibrary, type FileStore } from '../../src/library/asset-library.ts';
import { Drain } from '../../src/log/drain.ts';
import { createFindCursor } from '../../src/log/find-cursor.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { MemoryFallback } from '../../src/log/memory-fallback.ts';
import { PostedBudget } from '../../src/log/posted-budget.ts';
import { SpaceLog } from '../../src/log/space-log.ts';
import { Spill } from '../../src/log/spill.ts';
import { SpillingLog } from '../../src/log/spilling-log.ts';
import { PersistenceLayer } from '../../src/persistence-layer.ts';
import { createAssetStore } from '../../src/postgres/asset-store.ts';
import type { Postgres } from '../../src/postgres/client.ts';
import { createDrainStore } from '../../src/postgres/drain-store.ts';
import { createStateLoader } from '../../src/postgres/operations/load-snapshot.ts';
import { createSpillStore } from '../../src/postgres/spill-store.ts';
import { createWorldStore } from '../../src/postgres/world-store.ts';
import type { RedisClient } from '../../src/redis/client.ts';
import { KnownLogs } from '../../src/redis/known-logs.ts';
import { createLogStore } from '../../src/redis/log.ts';
import { createPersonTraces } from '../../src/redis/person-traces.ts';
import { createStateStore } from '../../src/redis/snapshot.ts';
import { SpaceState } from '../../src/state/space-state.ts';
import { Killed, NO_LIMITS, wrapStore } from './rig.ts';

export type When = 'before' | 'after';

/** The places where data leaves a process. */
export interface Outside {
  redis: RedisClient;
  postgres: Postgres;
  files: FileStore;
}

/** Ends a process at its n-th call to the outside: before the call is sent, or after it was run and before its answer. */
export class Cut {
  /** The adapter method that made each call, such as `log.append`. */
  readonly calls: string[] = [];
  /** All methods of the adapters. */
  readonly methods = new Set<string>();
  readonly #n: number;
  readonly #when: When;
  readonly #method = new AsyncLocalStorage<string>();

  constructor(n: number, when: When) {
    this.#n = n;
    this.#when = when;
  }

  /** Whether the process has ended. */
  get isEnded(): boolean {
    return this.calls.length >= this.#n;
  }

  outside({ redis, postgres, files }: Outside): Outside {
    const intercept = (_: string, call: () => Promise<unknown>) => this.#call(call);
    return {
      redis: wrapStore(redis, intercept),
      postgres: wrapStore(postgres, intercept),
      files: this.adapter(
        'files',
        wrapStore(files, (_, call) => this.#call(call)),
      ),
    };
  }

  /** The same adapter, which tells its name to the calls that it makes. */
  adapter<Adapter extends object>(name: string, adapter: Adapter): Adapter {
    const named = Object.entries(adapter).filter(([, method]) => typeof method === 'function');
    for (const [method] of named) this.methods.add(`${name}.${method}`);
    const told = named.map(([method, run]) => [
      method,
      (...args: unknown[]) => this.#method.run(`${name}.${method}`, () => Reflect.apply(run, adapter, args)),
    ]);
    return { ...adapter, ...Object.fromEntries(told) };
  }

  async #call(call: () => Promise<unknown>): Promise<unknown> {
    const at = this.calls.push(this.#method.getStore() ?? 'no adapter');
    if (at > this.#n || (at === this.#n && this.#when === 'before')) throw new Killed();
    const answer = await call();
    if (!this.isEnded) return answer;
    // The system closes the files of a process that has ended.
    await (answer as { body?: ReadableStream } | null)?.body?.cancel();
    throw new Killed();
  }
}

/** A process as in the product, of which every call to the outside goes through a cut. Nothing runs there by itself. */
export function openCutProcess(cut: Cut, outside: Outside, address: LogAddress) {
  const { redis, postgres, files } = cut.outside(outside);
  const [now, createId] = [Date.now, uuidv7];
  const store = cut.adapter('drain', createDrainStore(postgres));
  const known = new KnownLogs(redis, { findCursor: createFindCursor(store, { now, pause }) });
  const log = cut.adapter('log', createLogStore(redis, {}, known));
  const deferred: Promise<unknown>[] = [];
  const defer = (work: Promise<unknown>) => void deferred.push(work);
  const retention = { resultsSeconds: 600, deadLetterDays: 1 };
  const drain = new Drain(log, store, {
    now,
    pause,
    publishDrain: null,
    onEvent: () => undefined,
    retention,
  });
  const budgets = { requestsPerMinute: 0, updatesPerMinute: 0, messagesPerMinute: 0 };
  const times = { now, pause, idempotencyTtlSeconds: 600 };
  const spaceLog = new SpaceLog(log, store, drain, {
    ...{ ...times, ...budgets },
    backlog: NO_LIMITS,
    commitsAlways: false,
  });
  const spill = new Spill(cut.adapter('spill', createSpillStore(postgres)), store, {
    ...times,
    pause: () => new Promise(() => undefined),
    limits: { bytesMax: 2 ** 30, entriesMax: 1_000 },
    returnMsMax: 0,
    onEvent: () => undefined,
  });
  spill.useLog(spaceLog, drain, log);
  const state = new SpaceState(
    cut.adapter('state', createStateStore(redis, {}, known)),
    cut.adapter('loader', createStateLoader(postgres)),
    spaceLog,
    drain,
    { now, pause, createToken: createId, onEvent: () => undefined, spill },
  );
  drain.setSnapshotRenewer(state);
  const memory = new MemoryFallback(spill, {
    now,
    pause: () => new Promise(() => undefined),
    limits: { bytesMax: 2 ** 20, requestsMax: 100 },
    findIncarnation: (space) => known.findIncarnation(space),
    onEvent: () => undefined,
  });
  spill.useMemory(memory);
  const layer = new PersistenceLayer(
    cut.adapter('world', createWorldStore(postgres)),
    {
      log: new SpillingLog(spaceLog, spill, new PostedBudget(store, now), { ...times, ...budgets }, memory),
      defer,
      state,
      people: {
        redis: {
          traces: cut.adapter('traces', createPersonTraces(redis)),
          drainSpace: (space, budget) => drain.drainSpace(space, budget),
          drainEvents: async () => undefined,
        },
        removeObject: null,
      },
    },
    { ...address, actor: null },
  );
  const library = new AssetLibrary(cut.adapter('assets', createAssetStore(postgres)), files, {
    ...{ now, createId },
    ...{ bytesMax: 2 ** 20, fileBytesMax: 2 ** 30, quotaBytes: 2 ** 40 },
    onFailure: () => undefined,
    createHash() {
      const hash = createHash('sha256');
      return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest() };
    },
  });
  return {
    ...{ layer, drain, spill, memory, state, library, log },
    /** Waits for the work that no answer waits for, except for tries to return spilled requests: they never end here. */
    async settle() {
      while (deferred.length > 0) {
        const works = deferred.splice(0);
        await Promise.race([Promise.allSettled(works), pause(200)]);
      }
    },
  };
}

export type CutProcess = ReturnType<typeof openCutProcess>;
