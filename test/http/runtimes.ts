import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNeonEmulator } from '../../dev/emulators/neon.ts';
import { startUpstashEmulator } from '../../dev/emulators/upstash.ts';
import { stack } from '../support.ts';
import { startTcpProxy } from '../tcp-proxy.ts';
import { type OwnRedis, openOwnRedis } from './own-redis.ts';
import { makeEnv, type StartTarget, type TargetEnv } from './targets.ts';

/** Requests are refused immediately; or never answered; or one request gets bytes that no store sends. */
export type StoreFault = 'refuse' | 'hang' | 'nonsense';

/** A connection to a real store that a test can break. */
export interface FragileStore {
  inject(fault: StoreFault): void;
  clear(): void;
}

export interface FragileStores {
  /** The variables with which a target uses these connections. */
  env: TargetEnv;
  postgres: FragileStore;
  redis: FragileStore;
  close(): Promise<void>;
}

/** The differences between runtimes that the suite must know. */
export interface Runtime {
  /** Rejects with {@link StartRefused} if the runtime refuses to start. */
  start: StartTarget;
  makeEnv(changes?: TargetEnv): TargetEnv;
  /** Variables that remove Redis. */
  withoutRedis: TargetEnv;
  /** The part that an invalid configuration refuses. */
  refuses: 'each request' | 'to start';
  /** Invalid variables for this runtime, each with the name that the refusal must contain. */
  unserved: [name: string, changes: TargetEnv][];
  /** Whether a process may hold writes while both stores are away. */
  hasMemory: boolean;
  /** Whether it has a bucket for files. */
  hasBucket: boolean;
  openFragileStores(): Promise<FragileStores>;
  /** Opens a separate Redis for the test, in the way of this runtime. */
  openOwnRedis(): Promise<OwnRedis>;
}

/** A process that refused to start. */
export class StartRefused extends Error {
  readonly exitCode: number | NodeJS.Signals;
  /** Its whole output. */
  readonly output: string;

  constructor(exitCode: number | NodeJS.Signals, output: string) {
    super(`it ended with ${exitCode}: ${output}`);
    this.exitCode = exitCode;
    this.output = output;
  }
}

/** Longer than any test may last, so that an answer in time did not wait for it. */
const HANG_MS = 300_000;

export const OVER_HTTP: Omit<Runtime, 'start'> = {
  makeEnv,
  refuses: 'each request',
  hasBucket: false,
  withoutRedis: { UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' },
  unserved: [
    ['REDIS_HOST', { REDIS_HOST: 'localhost', UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' }],
    ['DATABASE_URL', { DATABASE_HTTP_URL: '' }],
    ['MEMORY_FALLBACK_ENABLED', { MEMORY_FALLBACK_ENABLED: 'true' }],
  ],
  hasMemory: false,
  openOwnRedis: () => openOwnRedis('http'),
  async openFragileStores() {
    const { databaseUrl, redisUrl, redisRestToken } = stack();
    const [neon, upstash] = await Promise.all([
      startNeonEmulator({ postgresPort: Number(new URL(databaseUrl).port), port: 0 }),
      startUpstashEmulator({ redisUrl, token: redisRestToken, port: 0 }),
    ]);
    const [postgres, redis] = [neon, upstash].map(
      ({ faults }): FragileStore => ({
        inject(fault) {
          if (fault === 'refuse') faults.inject({ kind: 'refuse' });
          else if (fault === 'hang') faults.inject({ kind: 'latency', latencyMs: HANG_MS });
          else faults.inject({ kind: 'refuse', status: 502, times: 1 });
        },
        clear: () => faults.clear(),
      }),
    ) as [FragileStore, FragileStore];
    return {
      env: { DATABASE_HTTP_URL: neon.sqlUrl, UPSTASH_REDIS_REST_URL: upstash.url },
      postgres,
      redis,
      async close() {
        await Promise.all([neon.close(), upstash.close()]);
      },
    };
  },
};

let assetDir: string | undefined;

/** One folder for the files of all servers of this process. */
function openAssetDir(): string {
  if (assetDir === undefined) {
    const dir = mkdtempSync(join(tmpdir(), 'worldkeep-assets-'));
    process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
    assetDir = dir;
  }
  return assetDir;
}

export const OVER_TCP: Omit<Runtime, 'start'> = {
  makeEnv(changes = {}) {
    const { hostname, port, password } = new URL(stack().redisUrl);
    return makeEnv({
      DATABASE_HTTP_URL: '',
      UPSTASH_REDIS_REST_URL: '',
      UPSTASH_REDIS_REST_TOKEN: '',
      REDIS_HOST: hostname,
      REDIS_PORT: port,
      REDIS_PASSWORD: decodeURIComponent(password),
      ASSET_DIR: openAssetDir(),
      ...changes,
    });
  },
  refuses: 'to start',
  hasBucket: true,
  withoutRedis: { REDIS_HOST: '', REDIS_PASSWORD: '' },
  unserved: [
    ['PORT', { PORT: '65536' }],
    ['HOST', { HOST: 'http://127.0.0.1' }],
    ['SHUTDOWN_TIMEOUT_MS', { SHUTDOWN_TIMEOUT_MS: 'soon' }],
  ],
  hasMemory: true,
  openOwnRedis: () => openOwnRedis('tcp'),
  async openFragileStores() {
    const databaseUrl = new URL(stack().databaseUrl);
    const [postgres, redis] = await Promise.all([
      startTcpProxy(Number(databaseUrl.port)),
      startTcpProxy(Number(new URL(stack().redisUrl).port)),
    ]);
    databaseUrl.port = String(postgres.port);
    const breakable = (proxy: typeof postgres): FragileStore => ({
      inject: (kind) => proxy.inject({ kind }),
      clear: () => proxy.clear(),
    });
    return {
      env: { DATABASE_URL: databaseUrl.href, REDIS_PORT: String(redis.port) },
      postgres: breakable(postgres),
      redis: breakable(redis),
      async close() {
        await Promise.all([postgres.close(), redis.close()]);
      },
    };
  },
};
