import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FaultPlan, Faults, parseFault, waitLatency } from './faults.ts';

export interface EmulatorRequest {
  method: string;
  /** The request target as it came, query included, nothing decoded or normalized. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Parses the body as JSON. Throws {@link BadRequest} if it is not. */
  json(): unknown;
  /** Aborts when the client goes away or the emulator closes. */
  signal: AbortSignal;
}

/** A finished answer. A string or Buffer body is sent as it is, anything else as JSON. */
export interface EmulatorReply {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** An answer that goes on: `stream` writes until it ends the response or `request.signal` aborts. */
export interface EmulatorStream {
  status: number;
  headers: Record<string, string>;
  stream(response: ServerResponse): void;
}

export interface EmulatorOptions {
  /** 0 takes any free port. */
  port: number;
  faults?: Faults | undefined;
  handle(request: EmulatorRequest): Promise<EmulatorReply | EmulatorStream> | EmulatorReply | EmulatorStream;
  /** Larger request bodies get `replyTooLarge()`. Default 10 MiB. */
  bodyBytesMax?: number;
  /** The service's answer to a body that is too large. Default 413 `{error}`. */
  replyTooLarge?: () => EmulatorReply;
}

export interface HttpEmulator {
  /** `http://127.0.0.1:PORT`, no slash at the end. */
  url: string;
  port: number;
  faults: Faults;
  /** Stops listening and ends every open connection. */
  close(): Promise<void>;
}

/** Answered as 400 `{error: message}`. */
export class BadRequest extends Error {}

export const FRONT_BODY_BYTES_MAX = 10 * 1024 * 1024;
const FAULTS_PATH = '/__faults';
const FAULTS_BODY_BYTES_MAX = 64 * 1024;

/**
 * Serves one emulator on 127.0.0.1, with its faults, and `POST DELETE /__faults` for other processes. Rejects with the error of the
 * socket (`EADDRINUSE`) if the port is taken.
 */
export async function startHttpEmulator(options: EmulatorOptions): Promise<HttpEmulator> {
  const faults = options.faults ?? new Faults();
  const closing = new AbortController();
  const server = createServer((message, response) => {
    serve({ ...options, faults }, message, response, closing.signal).catch((error: unknown) => {
      send(response, { status: 500, body: { error: messageOf(error) } });
    });
  });
  // Clients keep connections for the next request; a short idle limit here would race with it.
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    faults,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Whether a browser sends this on behalf of a page. Any page can reach a loopback address, and no page may talk to a store or inject
 * faults. A Host that is not loopback is a name that a page resolved to it.
 */
function isFromPage({ headers }: IncomingMessage): boolean {
  const host = headers.host?.replace(/:\d+$/, '') ?? '';
  return headers.origin !== undefined || !['127.0.0.1', 'localhost', '[::1]'].includes(host);
}

/** The token of `Authorization: Bearer …`, or null. */
export function readBearer(headers: IncomingHttpHeaders): string | null {
  return /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1] ?? null;
}

async function serve(
  options: EmulatorOptions & { faults: Faults },
  message: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const method = message.method ?? 'GET';
  const path = message.url ?? '/';
  const isControl = path === FAULTS_PATH;
  const bytesMax = isControl ? FAULTS_BODY_BYTES_MAX : (options.bodyBytesMax ?? FRONT_BODY_BYTES_MAX);
  if (isFromPage(message)) return send(response, { status: 403, body: { error: 'not for web pages' } });
  const body = await readBody(message, bytesMax);
  if (body === 'gone') return;
  if (body === 'too large') {
    const reply = options.replyTooLarge?.() ?? {
      status: 413,
      body: { error: `request body is larger than ${bytesMax} bytes` },
    };
    return send(response, { ...reply, headers: { ...reply.headers, connection: 'close' } });
  }
  const gone = new AbortController();
  response.once('close', () => {
    // An answer that was sent whole closes too, and nobody is to be told.
    if (!response.writableFinished) gone.abort();
  });
  const request: EmulatorRequest = {
    method,
    path,
    headers: message.headers,
    body,
    json: () => parseJson(body),
    signal: gone.signal,
  };
  if (isControl) return send(response, await answer(() => controlFaults(options.faults, request)));
  const plan = options.faults.plan(method, path, () => body.toString('utf8'));
  await waitLatency(plan, closing);
  if (closing.aborted || refuse(plan, response)) return;
  const reply = await answer(() => options.handle(request));
  if (plan.dropReply) response.destroy();
  else send(response, reply);
}

function refuse(plan: FaultPlan, response: ServerResponse): boolean {
  if (plan.refuse === null) return false;
  const { status } = plan.refuse;
  if (status === null) response.destroy();
  else send(response, { status, body: { error: 'refused by an injected fault' } });
  return true;
}

/** Runs a handler, its {@link BadRequest} as an answer. */
async function answer(
  handle: () => Promise<EmulatorReply | EmulatorStream> | EmulatorReply | EmulatorStream,
): Promise<EmulatorReply | EmulatorStream> {
  try {
    return await handle();
  } catch (error) {
    if (error instanceof BadRequest) return { status: 400, body: { error: error.message } };
    throw error;
  }
}

function controlFaults(faults: Faults, request: EmulatorRequest): EmulatorReply {
  if (request.method === 'DELETE') {
    faults.clear();
    return { status: 204 };
  }
  if (request.method !== 'POST') return { status: 405, headers: { allow: 'POST, DELETE' } };
  try {
    faults.inject(parseFault(request.json()));
  } catch (error) {
    throw new BadRequest(messageOf(error));
  }
  return { status: 204 };
}

/** By its events: a loop over the stream takes longer. */
function readBody(message: IncomingMessage, bytesMax: number): Promise<Buffer | 'too large' | 'gone'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    message.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      // Read on without keeping: a client that is still writing does not see an early answer.
      if (bytes <= bytesMax) chunks.push(chunk);
    });
    message.once('end', () => {
      if (bytes > bytesMax) resolve('too large');
      else resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    message.once('error', () => resolve('gone'));
    // Behind its end that says nothing more.
    message.once('close', () => resolve('gone'));
  });
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new BadRequest(`request body is not JSON: ${messageOf(error)}`);
  }
}

function send(response: ServerResponse, reply: EmulatorReply | EmulatorStream): void {
  if (response.headersSent || response.destroyed) return;
  if ('stream' in reply) {
    response.writeHead(reply.status, reply.headers);
    response.flushHeaders();
    reply.stream(response);
    return;
  }
  const { body } = reply;
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
  const payload = body === undefined || isRaw ? body : JSON.stringify(body);
  const type: Record<string, string> = payload === undefined ? {} : { 'content-type': 'application/json' };
  const length = payload === undefined ? 0 : Buffer.byteLength(payload);
  const lengthHeader: Record<string, string> =
    reply.status === 204 ? {} : { 'content-length': String(length) };
  response.writeHead(reply.status, { ...type, ...lengthHeader, ...reply.headers });
  response.end(payload);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
