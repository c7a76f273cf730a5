import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { APP_ROLE, buildDatabaseUrl, OWNER_ROLE, prepareDatabase } from './database.ts';
import { Faults } from './emulators/faults.ts';
import { startNeonEmulator } from './emulators/neon.ts';
import { startQStashEmulator } from './emulators/qstash.ts';
import { startUpstashEmulator } from './emulators/upstash.ts';
import { findFreePort } from './ports.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { acquireRunLock, endAbandoned, type RunLock } from './run-lock.ts';
import { readSecrets } from './secrets.ts';

export interface StackPorts {
  postgres: number;
  redis: number;
  neon: number;
  upstash: number;
  qstash: number;
}

export const DEFAULT_PORTS: StackPorts = {
  postgres: 55_432,
  redis: 56_379,
  neon: 8_791,
  upstash: 8_792,
  qstash: 8_793,
};

export const ANY_PORTS: StackPorts = { postgres: 0, redis: 0, neon: 0, upstash: 0, qstash: 0 };

export interface StackOptions {
  /** Holds the data, the secrets and the logs. */
  dir: string;
  /** Removes `dir` on {@link Stack.stop}. */
  ephemeral: boolean;
  /** Each is where the search for a free one begins; 0 is any. Default {@link DEFAULT_PORTS}. */
  ports?: StackPorts;
  /** False, for tests whose data nobody needs after a crash of the machine: no fsync. Default true. */
  durable?: boolean;
  /** Held by the caller for `dir` or a folder around it; without it the stack takes one. */
  lock?: RunLock;
  log(line: string): void;
}

/** The values that a client of the stack needs. */
export interface StackValues {
  /** The runtime role's; a migration makes the role, with this password. */
  databaseUrl: string;
  /** The owner's, for migrations over TCP. */
  migrationUrl: string;
  superuserUrl: string;
  /** For `neonConfig.fetchEndpoint`. */
  databaseHttpUrl: string;
  redisUrl: string;
  redisRestUrl: string;
  redisRestToken: string;
  qstashUrl: string;
  qstashToken: string;
  qstashCurrentSigningKey: string;
  qstashNextSigningKey: string;
  metricsToken: string;
  sessionSigningKey: string;
}

export interface Stack {
  values: StackValues;
  ports: StackPorts;
  /** The newest process of the store. */
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  faults: { neon: Faults; upstash: Faults; qstash: Faults };
  lock: RunLock;
  /** Settles with a sentence when a store ends; after `stop()` and `kill()` too. */
  ended: Promise<string>;
  /** Ends everything in order. Calling it again is the same as once. */
  stop(): Promise<void>;
  /** Sends SIGKILL to both stores together, as a power cut. The data stays, unless it is ephemeral. */
  kill(): Promise<void>;
  /** Starts a store again on its data and its port, after it was killed. */
  restart(store: 'postgres' | 'redis'): Promise<void>;
}

const PORT_TRIES_MAX = 5;
const TEMPORARY_PREFIX = 'worldkeep-';
export const CACHE_DIR = resolve(import.meta.dirname, '../node_modules/.cache/worldkeep');

/** Makes a folder for an ephemeral stack. */
export async function makeTemporaryDir(): Promise<string> {
  await sweepTemporaryDirs();
  const dir = mkdtempSync(join(tmpdir(), TEMPORARY_PREFIX));
  // Root's Postgres runs as another user, who has to pass.
  chmodSync(dir, 0o711);
  return dir;
}

/** Ends ephemeral stacks whose owner died before it could, and removes their folders. */
export async function sweepTemporaryDirs(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const dir = join(tmpdir(), name);
    if (!name.startsWith(TEMPORARY_PREFIX) || !isOwned(dir)) continue;
    if (await endAbandoned(dir, () => undefined)) rmSync(dir, { recursive: true, force: true });
  }
}

/** Starts Postgres, Redis and the three emulators on 127.0.0.1. Where one does not start, the others are ended. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dir, log } = options;
  const lock = options.lock ?? (await acquireRunLock(dir, log));
  const undo: (() => Promise<void>)[] = [];
  try {
    return await start(options, lock, undo);
  } catch (error) {
    await Promise.all(undo.map((end) => end()));
    if (options.ephemeral) rmSync(options.dir, { recursive: true, force: true });
    else if (options.lock === undefined) lock.release();
    throw error;
  }
}

async function start(options: StackOptions, lock: RunLock, undo: (() => Promise<void>)[]): Promise<Stack> {
  const { dir, log } = options;
  const preferred = options.ports ?? DEFAULT_PORTS;
  const durable = options.durable ?? true;
  const secrets = readSecrets(dir);
  const place = new Ports(log);

  const startOn = {
    postgres: (port: number) =>
      startPostgres({
        port,
        durable,
        log,
        dataDir: join(dir, 'postgres'),
        logFile: join(dir, 'postgres.log'),
        superuserPassword: secrets.superuserPassword,
        onSpawn: lock.record,
      }),
    redis: (port: number) =>
      startRedis({
        port,
        durable,
        log,
        dataDir: join(dir, 'redis'),
        logFile: join(dir, 'redis.log'),
        cacheDir: CACHE_DIR,
        password: secrets.redisPassword,
        onSpawn: lock.record,
      }),
  };
  const [postgres, redis] = await settleAll([
    place.start('Postgres', preferred.postgres, async (port) => {
      const server = await startOn.postgres(port);
      undo.push(server.stop);
      await prepareDatabase(server.superuserUrl, secrets.ownerPassword);
      return server;
    }),
    place.start('Redis', preferred.redis, async (port) => {
      const server = await startOn.redis(port);
      undo.push(server.stop);
      return server;
    }),
  ]);
  /** The newest process of each store. */
  const running = { postgres, redis };

  const faults = { neon: new Faults(), upstash: new Faults(), qstash: new Faults() };
  const [neon, upstash, qstash] = await settleAll([
    place.start('the emulator for Neon', preferred.neon, async (port) => {
      const emulator = await startNeonEmulator({ port, postgresPort: postgres.port, faults: faults.neon });
      undo.unshift(emulator.close);
      return emulator;
    }),
    place.start('the emulator for Upstash', preferred.upstash, async (port) => {
      const emulator = await startUpstashEmulator({
        port,
        redisUrl: redis.url,
        token: secrets.redisRestToken,
        faults: faults.upstash,
      });
      undo.unshift(emulator.close);
      return emulator;
    }),
    place.start('the emulator for QStash', preferred.qstash, async (port) => {
      const emulator = await startQStashEmulator({
        port,
        token: secrets.qstashToken,
        faults: faults.qstash,
        currentSigningKey: secrets.qstashCurrentSigningKey,
        dataFile: join(dir, 'qstash.json'),
      });
      undo.unshift(emulator.close);
      return emulator;
    }),
  ]);

  const closeEmulators = () => settleAll([neon.close(), upstash.close(), qstash.close()]);
  const release = () => {
    if (options.ephemeral) rmSync(dir, { recursive: true, force: true });
    else if (options.lock === undefined) lock.release();
  };
  let ending: Promise<void> | null = null;
  return {
    values: {
      databaseUrl: buildDatabaseUrl(APP_ROLE, secrets.appPassword, postgres.port),
      migrationUrl: buildDatabaseUrl(OWNER_ROLE, secrets.ownerPassword, postgres.port),
      superuserUrl: postgres.superuserUrl,
      databaseHttpUrl: neon.sqlUrl,
      redisUrl: redis.url,
      redisRestUrl: upstash.url,
      redisRestToken: secrets.redisRestToken,
      qstashUrl: qstash.url,
      qstashToken: secrets.qstashToken,
      qstashCurrentSigningKey: secrets.qstashCurrentSigningKey,
      qstashNextSigningKey: secrets.qstashNextSigningKey,
      metricsToken: secrets.metricsToken,
      sessionSigningKey: secrets.sessionSigningKey,
    },
    ports: {
      postgres: postgres.port,
      redis: redis.port,
      neon: portOf(neon.url),
      upstash: portOf(upstash.url),
      qstash: portOf(qstash.url),
    },
    get postgres() {
      return running.postgres;
    },
    get redis() {
      return running.redis;
    },
    faults,
    lock,
    ended: Promise.race([
      postgres.process.exited.then(
        (how) => `Postgres ended (${how}); its log is ${join(dir, 'postgres.log')}`,
      ),
      redis.process.exited.then((how) => `Redis ended (${how}); its log is ${join(dir, 'redis.log')}`),
    ]),
    stop: () => {
      ending ??= (async () => {
        try {
          await closeEmulators();
        } finally {
          await settleAll([running.postgres.stop(), running.redis.stop()]);
          release();
        }
      })();
      return ending;
    },
    kill: () => {
      ending ??= (async () => {
        await settleAll([running.postgres.kill(), running.redis.kill(), closeEmulators()]);
        release();
      })();
      return ending;
    },
    async restart(store) {
      if (store === 'redis') running.redis = await startOn.redis(redis.port);
      else running.postgres = await startOn.postgres(postgres.port);
    },
  };
}

/** Waits for all before it fails, so that nothing is still starting while the rest is being ended. */
async function settleAll<T extends readonly unknown[]>(
  promises: { [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  const outcomes = await Promise.allSettled(promises);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  // The compiler cannot see that a mapped tuple of promises resolves to the tuple.
  return Promise.all(promises) as unknown as Promise<T>;
}

/** Hands out ports, each once, and starts on the next one where another program was faster. */
class Ports {
  #taken = new Set<number>();
  #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  async start<T>(name: string, preferred: number, startOn: (port: number) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const port = await findFreePort(preferred, this.#taken);
      this.#taken.add(port);
      if (preferred !== 0 && port !== preferred)
        this.#log(`port ${preferred} is taken: ${name} listens on ${port}`);
      try {
        return await startOn(port);
      } catch (error) {
        const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
        if (!isTaken || tries >= PORT_TRIES_MAX) throw error;
      }
    }
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** One that has no owner yet, or belongs to another user, is let be. */
function isOwned(dir: string): boolean {
  const mine = process.getuid?.();
  try {
    // Anyone may make a folder of this name there: only what this user made says which processes to end.
    return [dir, join(dir, 'run.json')].every((path) => {
      const stat = lstatSync(path);
      return stat.uid === mine && !stat.isSymbolicLink();
    });
  } catch {
    return false;
  }
}
