import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';

export interface ServerOptions {
  fetch: (request: Request) => Response | Promise<Response>;
  host: string;
  /** 0 is any that is free. */
  port: number;
}

export interface RunningServer {
  /** `http://host:port`, as it can be called from this machine. */
  url: string;
  /**
   * Takes no more connections, ends those that are quiet, lets the requests under way be answered, and ends each
   * connection after its answer. What is not answered in `timeoutMs` is cut.
   * @returns how many requests were cut
   */
  stop(timeoutMs: number): Promise<number>;
}

/** Longer than the 60 s for which the usual proxies keep a connection: it is they who give it up, and not in a request. */
const KEEP_ALIVE_MS = 75_000;

/** Serves over HTTP/1.1. Rejects with the system's error where it cannot listen. */
export async function startServer({ fetch, host, port }: ServerOptions): Promise<RunningServer> {
  const sockets = new Set<Socket>();
  const underWay = new Set<ServerResponse>();
  let isStopping = false;

  const listener = getRequestListener(fetch, { hostname: host });
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, serve);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  function serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    underWay.add(outgoing);
    if (isStopping) outgoing.setHeader('Connection', 'close');
    outgoing.once('close', () => {
      underWay.delete(outgoing);
      // One whose answer had begun before the end was asked for has promised to stay.
      if (isStopping) incoming.socket.destroySoon();
    });
    void listener(incoming, outgoing);
  }

  server.listen(port, host);
  await once(server, 'listening');
  // A connection that could not be taken, for want of descriptors: the next may be.
  server.on('error', (error) => {
    console.error(JSON.stringify({ level: 'error', event: 'connection_refused', name: error.name }));
  });
  const { family, address, port: actualPort } = server.address() as AddressInfo;

  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${actualPort}`,
    async stop(timeoutMs) {
      isStopping = true;
      const closed = once(server, 'close');
      server.close();
      for (const outgoing of underWay) if (!outgoing.headersSent) outgoing.setHeader('Connection', 'close');
      server.closeIdleConnections();
      // Connections that have not said anything yet are not idle to Node.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      let cut = 0;
      const timer = setTimeout(() => {
        cut = underWay.size;
        server.closeAllConnections();
      }, timeoutMs);
      await closed;
      clearTimeout(timer);
      return cut;
    },
  };
}
