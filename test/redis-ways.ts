import { startUpstashEmulator } from '../dev/emulators/upstash.ts';
import type { LiveSource } from '../src/live/live-stores.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { openTcpRedis } from '../src/redis/tcp.ts';
import { openTcpLive } from '../src/redis/tcp-live.ts';
import { openUpstash } from '../src/redis/upstash.ts';
import { openUpstashLive } from '../src/redis/upstash-live.ts';
import { stack } from './support.ts';
import { startTcpProxy, type TcpFault } from './tcp-proxy.ts';

/** A connection to the real Redis that a test can cut. */
export interface RedisWay {
  open(options?: { timeoutMs?: number; password?: string }): RedisClient;
  /** Opens a separate connection for published messages. `close` releases it. */
  openLive(options?: { timeoutMs?: number }): LiveSource & { close(): void };
  /** Cuts the connections for published messages. None works again until `mendLive` is called. */
  cutLive(): void;
  mendLive(): void;
  inject(fault: TcpFault): void;
  clear(): void;
  close(): Promise<void>;
}

const HANG_MS = 300_000;

async function openHttpWay(redisUrl = stack().redisUrl): Promise<RedisWay> {
  const { redisRestToken } = stack();
  const emulator = await startUpstashEmulator({ redisUrl, token: redisRestToken, port: 0 });
  const proxy = await startTcpProxy(emulator.port);
  return {
    openLive: ({ timeoutMs = 5_000 } = {}) => ({
      ...openUpstashLive({ url: `http://127.0.0.1:${proxy.port}`, token: redisRestToken, timeoutMs }),
      close: () => undefined,
    }),
    cutLive: () => proxy.inject({ kind: 'refuse' }),
    mendLive: () => proxy.clear(),
    open: ({ timeoutMs = 5_000, password = redisRestToken } = {}) =>
      openUpstash({ url: emulator.url, token: password, timeoutMs }),
    inject(fault) {
      if (fault.kind === 'hang') emulator.faults.inject({ kind: 'latency', latencyMs: HANG_MS });
      else emulator.faults.inject(fault.kind === 'refuse' ? fault : { ...fault, times: 1 });
    },
    clear: () => emulator.faults.clear(),
    async close() {
      await proxy.close();
      await emulator.close();
    },
  };
}

async function openTcpWay(redisUrl = stack().redisUrl): Promise<RedisWay> {
  const url = new URL(redisUrl);
  const proxy = await startTcpProxy(Number(url.port));
  const liveProxy = await startTcpProxy(Number(url.port));
  return {
    ...proxy,
    openLive: ({ timeoutMs = 5_000 } = {}) =>
      openTcpLive({
        host: '127.0.0.1',
        port: liveProxy.port,
        password: decodeURIComponent(url.password),
        timeoutMs,
      }),
    cutLive: () => liveProxy.inject({ kind: 'refuse' }),
    mendLive: () => liveProxy.clear(),
    async close() {
      await Promise.all([proxy.close(), liveProxy.close()]);
    },
    open: ({ timeoutMs = 5_000, password = decodeURIComponent(url.password) } = {}) =>
      openTcpRedis({ host: '127.0.0.1', port: proxy.port, password, timeoutMs }),
  };
}

/** Opens a connection to the Redis that all test files share, or to another one. */
export type OpenWay = (redisUrl?: string) => Promise<RedisWay>;

/** Both ways to connect to a real Redis. */
export const REDIS_WAYS: [string, OpenWay][] = [
  ['Upstash over HTTP', openHttpWay],
  ['ioredis over TCP', openTcpWay],
];
