import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

type Fetch = (request: Request) => Response | Promise<Response>;

export interface Served {
  url: string;
  close(): Promise<void>;
}

/** Serves an app on a free port of 127.0.0.1, so that a process of its own can be pointed at it. */
export async function serveApp(fetch: Fetch): Promise<Served> {
  // As the real server: it closes no connection that a busy command is about to use again.
  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    answer(fetch, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function answer(fetch: Fetch, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method = 'GET', headers, url = '/' } = incoming;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const answered = await fetch(
    new Request(`http://${headers.host}${url}`, {
      method,
      headers: Object.entries(headers).map(([name, value]) => [name, String(value)] as [string, string]),
      ...(hasBody && {
        body: Readable.toWeb(incoming) as globalThis.ReadableStream<Uint8Array>,
        duplex: 'half' as const,
      }),
    }),
  );
  outgoing.writeHead(answered.status, Object.fromEntries(answered.headers));
  if (answered.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(answered.body as ReadableStream), outgoing);
}
