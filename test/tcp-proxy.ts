import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The fault of connections through the proxy. */
export type TcpFault =
  /** Cuts all connections, and cuts new ones immediately. */
  | { kind: 'refuse' }
  /** Carries no more bytes in either direction; connections stay open. */
  | { kind: 'hang' }
  /** Delivers a request that contains `match`, then cuts the connection instead of the answer. Once. */
  | { kind: 'drop-reply'; match: string };

/** A fault of a network that still carries something. */
export type SlowFault =
  /** Delivers each answer so many milliseconds later. */
  | { kind: 'latency'; ms: number }
  /** Connections become half-open: nothing they carry is delivered, also after the fault. Only the client closes them. */
  | { kind: 'swallow' }
  /** Resets the connection of each n-th request, in turn before the store gets the request and instead of its answer. */
  | { kind: 'reset-every'; n: number };

/** Delivers a request, but sends another answer than the store's. Once. */
export interface TcpNonsense {
  kind: 'nonsense';
}

export interface TcpProxy {
  port: number;
  /** Replaces the previous fault. */
  inject(fault: TcpFault | SlowFault | TcpNonsense): void;
  /** Cuts connections that hung: the bytes that waited in them are lost. */
  clear(): void;
  /** The number of connections since its start. */
  readonly connections: number;
  /** The number of connections that the client has open now. */
  readonly open: number;
  close(): Promise<void>;
}

const NONSENSE = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n';

/** A proxy to a store on 127.0.0.1 that a test can break like a network. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let fault: TcpFault | SlowFault | TcpNonsense | null = null;
  let connections = 0;
  /** Requests under `reset-every`. */
  let requests = 0;

  const cutAll = () => {
    for (const { client, server } of pairs) for (const socket of [client, server]) socket.destroy();
  };
  const emulator = createServer((client) => {
    connections++;
    if (fault?.kind === 'refuse') {
      client.destroy();
      return;
    }
    const server = connect(targetPort, '127.0.0.1');
    const pair: Pair = {
      client,
      server,
      isHalfOpen: fault?.kind === 'swallow',
      cutsOnReply: false,
      dueMs: 0,
    };
    pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (socket === server && pair.isHalfOpen) return;
        pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (fault?.kind === 'hang' || pair.isHalfOpen) return;
      if (fault?.kind === 'drop-reply' && chunk.includes(fault.match)) {
        pair.cutsOnReply = true;
        fault = null;
      }
      if (fault?.kind === 'reset-every' && ++requests % fault.n === 0) {
        if (requests % (2 * fault.n) === 0) {
          client.resetAndDestroy();
          return;
        }
        pair.cutsOnReply = true;
      }
      server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (fault?.kind === 'hang' || pair.isHalfOpen) return;
      if (pair.cutsOnReply) client.resetAndDestroy();
      else if (fault?.kind === 'nonsense') {
        fault = null;
        client.write(NONSENSE);
      } else deliver(pair, chunk, fault?.kind === 'latency' ? fault.ms : 0);
    });
  });
  emulator.listen(0, '127.0.0.1');
  await once(emulator, 'listening');

  return {
    port: (emulator.address() as AddressInfo).port,
    inject(next) {
      fault = next;
      if (next.kind === 'refuse') cutAll();
      if (next.kind === 'swallow') for (const pair of pairs) pair.isHalfOpen = true;
    },
    clear() {
      if (fault?.kind === 'hang') cutAll();
      fault = null;
    },
    get connections() {
      return connections;
    },
    get open() {
      return pairs.size;
    },
    async close() {
      emulator.close();
      cutAll();
      await once(emulator, 'close');
    },
  };
}

interface Pair {
  client: Socket;
  server: Socket;
  isHalfOpen: boolean;
  cutsOnReply: boolean;
  /** When the last late answer is delivered. */
  dueMs: number;
}

/** Delivers an answer after so many milliseconds, and never before an earlier one. */
function deliver(pair: Pair, chunk: Buffer, ms: number): void {
  const nowMs = performance.now();
  pair.dueMs = Math.max(pair.dueMs, nowMs + ms);
  if (pair.dueMs <= nowMs) pair.client.write(chunk);
  else
    setTimeout(() => {
      if (!pair.isHalfOpen && pair.client.writable) pair.client.write(chunk);
    }, pair.dueMs - nowMs);
}
