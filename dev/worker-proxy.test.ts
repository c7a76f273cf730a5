import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWorkerProxy, type WorkerProxy } from './worker-proxy.ts';

const BODY_SILENCE_MS_MAX = 200;

/** Acts as wrangler, which reads every body to its end before it answers. */
let handle: (incoming: IncomingMessage, outgoing: ServerResponse) => unknown;
const worker = createServer((incoming, outgoing) => void handle(incoming, outgoing));
let proxy: WorkerProxy;
let workerPort: number;

beforeAll(async () => {
  await once(worker.listen(0, '127.0.0.1'), 'listening');
  workerPort = (worker.address() as AddressInfo).port;
  proxy = await startWorkerProxy({ port: 0, bodySilenceMsMax: BODY_SILENCE_MS_MAX });
  proxy.setTarget(workerPort);
});
afterAll(async () => {
  await proxy.close();
  worker.close();
  worker.closeAllConnections();
});

function send(bytes: string): Socket {
  const { hostname, port } = new URL(proxy.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(bytes);
  return socket;
}

it('passes on the method, the path, the headers and the body, and the answer', async () => {
  handle = async (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const seen = { method, url, host: headers.host, key: headers.authorization, body: await text(incoming) };
    outgoing.writeHead(201, { ETag: '"1"', 'Content-Type': 'application/json' });
    outgoing.end(JSON.stringify(seen));
  };
  const response = await fetch(`${proxy.url}/v1/spaces/a%2Fb?x=1`, {
    method: 'PUT',
    body: 'x'.repeat(300_000),
    headers: { authorization: 'Bearer k' },
  });
  expect([response.status, response.headers.get('etag')]).toEqual([201, '"1"']);
  expect(await response.json()).toEqual({
    method: 'PUT',
    url: '/v1/spaces/a%2Fb?x=1',
    host: new URL(proxy.url).host,
    key: 'Bearer k',
    body: 'x'.repeat(300_000),
  });
});

it('passes on a stream as it comes, and tells the Worker when its reader goes', async () => {
  const gone = Promise.withResolvers<void>();
  handle = (_, outgoing) => {
    outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' });
    outgoing.write('data: 1\n\n');
    outgoing.once('close', gone.resolve);
  };
  const reading = new AbortController();
  const response = await fetch(proxy.url, { signal: reading.signal });
  const piece = await response.body?.getReader().read();
  expect(new TextDecoder().decode(piece?.value)).toBe('data: 1\n\n');
  reading.abort();
  await gone.promise;
});

it.each([
  ['with a length', 'Content-Length: 1000\r\n\r\n{"a":'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n'],
])('answers a truncated body %s 400, and ends it for the Worker', async (_, rest) => {
  const gone = Promise.withResolvers<void>();
  handle = (incoming) => {
    incoming.resume().once('close', gone.resolve);
    socket.end();
  };
  const socket = send(`PUT / HTTP/1.1\r\nHost: here\r\n${rest}`);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
  await gone.promise;
});

it('answers a body that stops arriving 408, also if the Worker waits for it', async () => {
  handle = async (incoming, outgoing) => outgoing.end(await text(incoming).catch(() => ''));
  for (const method of ['PUT', 'GET'])
    expect(await text(send(`${method} / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc`))).toMatch(
      /^HTTP\/1\.1 408 .*The server received no body data for 200 ms/s,
    );
});

it('passes on an answer that comes before the end of the body, and closes', async () => {
  handle = (_, outgoing) => outgoing.writeHead(413).end('too large');
  const socket = send('PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc');
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 413 .*connection: close.*too large/is);
});

it('answers 503 while the Worker restarts, and where it does not answer', async () => {
  proxy.setTarget(null);
  const response = await fetch(proxy.url);
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await response.json()).toMatchObject({ status: 503, detail: expect.stringContaining('restarts') });
  handle = (incoming) => incoming.socket.destroy();
  proxy.setTarget(workerPort);
  expect((await fetch(proxy.url)).status).toBe(503);
});
