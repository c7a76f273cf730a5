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

/** Delivers a request, but sends another answer than the store's. Once. */
export interface TcpNonsense {
  kind: 'nonsense';
}

export interface TcpProxy {
  port: number;
  /** Replaces the previous fault. */
  inject(fault: TcpFault | TcpNonsense): void;
  /** Cuts connections that hung: the bytes that waited in them are lost. */
  clear(): void;
  /** The number of connections since its start. */
  readonly connections: number;
  close(): Promise<void>;
}

const NONSENSE = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n';

/** A proxy to a store on 127.0.0.1 that a test can break like a network. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<[client: Socket, server: Socket]>();
  let fault: TcpFault | TcpNonsense | null = null;
  let connections = 0;

  const cutAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  const emulator = createServer((client) => {
    connections++;
    if (fault?.kind === 'refuse') {
      client.destroy();
      return;
    }
    const server = connect(targetPort, '127.0.0.1');
    const pair: [Socket, Socket] = [client, server];
    pairs.add(pair);
    let cutsOnReply = false;
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (fault?.kind === 'hang') return;
      if (fault?.kind === 'drop-reply' && chunk.includes(fault.match)) {
        cutsOnReply = true;
        fault = null;
      }
      server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (fault?.kind === 'hang') return;
      if (cutsOnReply) client.destroy();
      else if (fault?.kind === 'nonsense') {
        fault = null;
        client.write(NONSENSE);
      } else client.write(chunk);
    });
  });
  emulator.listen(0, '127.0.0.1');
  await once(emulator, 'listening');

  return {
    port: (emulator.address() as AddressInfo).port,
    inject(next) {
      fault = next;
      if (next.kind === 'refuse') cutAll();
    },
    clear() {
      if (fault?.kind === 'hang') cutAll();
      fault = null;
    },
    get connections() {
      return connections;
    },
    async close() {
      emulator.close();
      cutAll();
      await once(emulator, 'close');
    },
  };
}
