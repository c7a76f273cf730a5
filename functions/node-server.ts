import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';

/** Facts about a request that only the server knows. */
export interface NodeBindings {
  /** The other end of the connection: the caller, or the proxy in front. */
  remoteAddress: string | null;
  /** Closes the connection immediately, even if a part of the answer was not sent. */
  cut: () => void;
}

export type NodeFetch = (request: Request, bindings: NodeBindings) => Response | Promise<Response>;

export interface ServerOptions {
  fetch: NodeFetch;
  host: string;
  /** 0 is any that is free. */
  port: number;
}

export interface RunningServer {
  /** `http://host:port`, as it can be called from this machine. */
  url: string;
  /**
   * Accepts no more connections, closes idle ones, and lets running requests finish. It closes each connection after its answer, and cuts
   * requests that take longer than `timeoutMs`.
   * @returns how many requests were cut
   */
  stop(timeoutMs: number): Promise<number>;
}

/** Longer than the 60 s for which the usual proxies keep a connection: it is they who give it up, and not in a request. */
const KEEP_ALIVE_MS = 75_000;
const LINGER_MS = 1_000;

/** Serves over HTTP/1.1. Rejects with the system's error where it cannot listen. */
export async function startServer({ fetch, host, port }: ServerOptions): Promise<RunningServer> {
  const sockets = new Set<Socket>();
  const underWay = new Map<ServerResponse, IncomingMessage>();
  let isStopping = false;

  // Node would end a long upload after 5 minutes. A body that stops arriving is ended by BODY_TIMEOUT_MS instead.
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
  const listener = getRequestListener(
    async (request, { incoming, outgoing }) => {
      const response = await fetch(request, {
        remoteAddress: incoming.socket.remoteAddress ?? null,
        cut: () => incoming.socket.destroy(),
      });
      // Answered before it was sent: what is still to come must not be taken for the next request.
      if (isStopping || !incoming.complete) closeAfter(outgoing as ServerResponse);
      return response;
    },
    { hostname: host },
  );
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.destroySoon = () => linger(socket);
  });
  server.on('request', (incoming, outgoing) => {
    underWay.set(outgoing, incoming);
    outgoing.once('close', () => {
      underWay.delete(outgoing);
      // An answer that had begun before the end was asked for has promised that the connection stays.
      if (isStopping) linger(incoming.socket);
    });
    void listener(incoming, outgoing);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Bytes behind a request that is whole: it is answered all the same, and the connection ends with that.
    for (const [outgoing, incoming] of underWay)
      if (incoming.socket === socket && incoming.complete) {
        closeAfter(outgoing);
        return;
      }
    refuse(socket, error.code);
  });

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

function closeAfter(outgoing: ServerResponse): void {
  if (!outgoing.headersSent) outgoing.setHeader('Connection', 'close');
}

/**
 * Ends our side, and keeps reading for a moment. A connection that is closed while the other side still sends is reset, and the answer
 * is lost.
 */
function linger(socket: Socket): void {
  if (socket.destroyed || socket.writableEnded) return;
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** The request is not HTTP, or came too slowly. */
function refuse(socket: Duplex, code: string | undefined): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  linger(socket as Socket);
}
