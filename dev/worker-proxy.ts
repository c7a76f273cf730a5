import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WorkerProxyOptions {
  /** 0 takes any free port. */
  port: number;
  /** Milliseconds without a byte after which the proxy gives up a request's body, and answers 408. */
  bodySilenceMsMax: number;
}

export interface WorkerProxy {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** Where the Worker listens now; null while it restarts. Requests are then answered 503. */
  setTarget(port: number | null): void;
  close(): Promise<void>;
}

/**
 * Keeps one address for the Worker, however often it restarts. It also answers where `wrangler dev` does not. Wrangler's own proxy answers
 * a truncated body with a stack trace, and waits forever for a body that no route reads.
 */
export async function startWorkerProxy({ port, bodySilenceMsMax }: WorkerProxyOptions): Promise<WorkerProxy> {
  let target: number | null = null;
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 75_000 }, (incoming, outgoing) => {
    if (target === null) refuse(outgoing, 503, 'The Worker restarts: try again in a second.');
    else forward(incoming, outgoing, target, bodySilenceMsMax);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    setTarget: (to) => {
      target = to;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  port: number,
  bodySilenceMsMax: number,
): void {
  const { method, url, rawHeaders } = incoming;
  const upstream = request({ host: '127.0.0.1', port, method, path: url, headers: rawHeaders });
  const giveUp = () => {
    // The Worker is slow to read, not the client to send.
    if (upstream.writableNeedDrain) timer.refresh();
    else refuse(outgoing, 408, `The server received no body data for ${bodySilenceMsMax} ms.`);
  };
  const timer = setTimeout(giveUp, bodySilenceMsMax);
  incoming.on('data', () => timer.refresh());
  incoming.once('end', () => clearTimeout(timer));
  // Node answers the client 400 itself.
  incoming.once('error', () => upstream.destroy());
  incoming.pipe(upstream);
  upstream.once('response', (answer) => {
    clearTimeout(timer);
    if (!incoming.complete) {
      // The rest is read and dropped: a client that is still sending would not see the answer otherwise.
      incoming.unpipe(upstream).resume();
      outgoing.setHeader('Connection', 'close');
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
    // Early output, such as the first event of a stream, must not wait for more.
    outgoing.flushHeaders();
    answer.pipe(outgoing);
    answer.once('error', () => outgoing.destroy());
  });
  upstream.once('error', () => refuse(outgoing, 503, 'The Worker does not answer: try again in a second.'));
  outgoing.once('close', () => {
    clearTimeout(timer);
    upstream.destroy();
  });
}

/** The headers that are not about the one connection. */
function endToEnd(rawHeaders: string[]): string[] {
  return rawHeaders.filter((_, i) => !/^(connection|keep-alive)$/i.test(rawHeaders[i - (i % 2)] ?? ''));
}

function refuse(outgoing: ServerResponse, status: number, detail: string): void {
  if (outgoing.headersSent || outgoing.destroyed) return;
  outgoing.writeHead(status, {
    'Content-Type': 'application/problem+json',
    Connection: 'close',
    ...(status === 503 && { 'Retry-After': '1' }),
  });
  const code = status === 503 ? 'store_unavailable' : 'body_timeout';
  outgoing.end(JSON.stringify({ type: 'about:blank', status, code, detail }));
}
