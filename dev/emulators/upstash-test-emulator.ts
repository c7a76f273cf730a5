import { createServer, connect as openSocket, type Server, type Socket } from 'node:net';
import { Redis, type RedisConfigNodejs } from '@upstash/redis';
import { Redis as TcpRedis } from 'ioredis';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { stack } from '../../test/support.ts';
import type { HttpEmulator } from './http.ts';
import { startUpstashEmulator } from './upstash.ts';

export const TOKEN = 'a-token';

/** For a test file: a front of its own, the real client, and the same Redis over TCP to look behind it. */
export interface TestEmulator {
  emulator: HttpEmulator;
  tcp: TcpRedis;
  relay: Relay;
  /** The service's own client, without retries and conversions unless asked. */
  connect(options?: Partial<RedisConfigNodejs>): Redis;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

export function useTestEmulator(): TestEmulator {
  const test = { connect, post, relay: new Relay() } as TestEmulator;
  beforeAll(async () => {
    await test.relay.open(stack().redisUrl);
    test.emulator = await startUpstashEmulator({ redisUrl: test.relay.url, port: 0, token: TOKEN });
    test.tcp = new TcpRedis(stack().redisUrl, { protocol: 2 });
  });
  afterEach(() => test.emulator.faults.clear());
  afterAll(async () => {
    await test.emulator.close();
    test.tcp.disconnect();
    test.relay.cut();
  });
  function connect(options: Partial<RedisConfigNodejs> = {}): Redis {
    return new Redis({
      url: test.emulator.url,
      token: TOKEN,
      automaticDeserialization: false,
      enableAutoPipelining: false,
      enableTelemetry: false,
      retry: { retries: 0 },
      ...options,
    });
  }
  function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(test.emulator.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      body: JSON.stringify(body),
    });
  }
  return test;
}

/** The wire between the emulator and Redis, so that a test can cut its own and nobody else's. */
export class Relay {
  url = '';
  /** While true, what Redis answers goes nowhere. */
  isMuted = false;
  #port = 0;
  #target: URL | null = null;
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();

  async open(redisUrl: string): Promise<void> {
    this.#target = new URL(redisUrl);
    await this.mend();
    const url = new URL(redisUrl);
    url.port = String(this.#port);
    this.url = url.href;
  }

  cut(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async mend(): Promise<void> {
    this.isMuted = false;
    const server = createServer((near) => this.#join(near));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    const address = server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  #join(near: Socket): void {
    const far = openSocket(Number(this.#target?.port), '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    far.on('data', (chunk) => this.isMuted || near.write(chunk));
  }
}
