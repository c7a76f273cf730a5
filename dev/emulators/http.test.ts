import { request as httpRequest } from 'node:http';
import { createConnection } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  BadRequest,
  type EmulatorOptions,
  type HttpEmulator,
  readBearer,
  startHttpEmulator,
} from './http.ts';

const emulators: HttpEmulator[] = [];
afterEach(async () => {
  await Promise.all(emulators.splice(0).map((emulator) => emulator.close()));
});

async function start(options: Partial<EmulatorOptions> = {}): Promise<HttpEmulator> {
  const emulator = await startHttpEmulator({
    port: 0,
    handle: (request) => ({ status: 200, body: { path: request.path, got: request.json() } }),
    ...options,
  });
  emulators.push(emulator);
  return emulator;
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', body: JSON.stringify(body) });
}

describe('startHttpFront', () => {
  it('hands the target over as it came and answers in JSON', async () => {
    const emulator = await start();
    const socket = createConnection(emulator.port, '127.0.0.1');
    socket.end(
      'POST /v2/publish/http://a.test//b?c=%2F HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}',
    );
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toContain('{"path":"/v2/publish/http://a.test//b?c=%2F","got":{}}');
  });

  it('refuses a body above the limit, and one that is not JSON', async () => {
    const emulator = await start({ bodyBytesMax: 100 });
    const large = await post(emulator.url, 'x'.repeat(200_000));
    expect(large.status).toBe(413);
    expect(await large.json()).toEqual({ error: 'request body is larger than 100 bytes' });
    const broken = await fetch(emulator.url, { method: 'POST', body: '{' });
    expect(broken.status).toBe(400);
    expect(await broken.json()).toEqual({ error: expect.stringContaining('request body is not JSON') });
  });

  it('answers a bug in a handler with 500 and goes on', async () => {
    let calls = 0;
    const emulator = await start({
      handle: () => {
        calls += 1;
        if (calls === 1) throw new Error('a bug');
        if (calls === 2) throw new BadRequest('not so');
        return { status: 204 };
      },
    });
    expect((await post(emulator.url, {})).status).toBe(500);
    expect(await (await post(emulator.url, {})).json()).toEqual({ error: 'not so' });
    expect((await post(emulator.url, {})).status).toBe(204);
  });

  it('says that a port is taken', async () => {
    const first = await start();
    await expect(start({ port: first.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('ends a streaming answer when it closes', async () => {
    const emulator = await start({
      handle: () => ({
        status: 200,
        headers: { 'content-type': 'text/event-stream' },
        stream: (response) => void response.write('data: 1\n\n'),
      }),
    });
    const response = await post(emulator.url, {});
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('data: 1\n\n');
    await emulator.close();
    await expect(reader?.read()).rejects.toThrow();
  });

  it('reads a bearer token', () => {
    expect(readBearer({ authorization: 'Bearer abc' })).toBe('abc');
    expect(readBearer({ authorization: 'Basic abc' })).toBeNull();
    expect(readBearer({})).toBeNull();
  });
});

describe('faults', () => {
  function counting(): { handle: EmulatorOptions['handle']; runs: () => number } {
    let runs = 0;
    return {
      runs: () => runs,
      handle: () => {
        runs += 1;
        return { status: 200, body: runs };
      },
    };
  }

  it('refuses before, and drops the reply after, the operation', async () => {
    const { handle, runs } = counting();
    const emulator = await start({ handle });
    emulator.faults.inject({ kind: 'refuse', times: 1 });
    await expect(post(emulator.url, {})).rejects.toThrow();
    expect(runs()).toBe(0);
    emulator.faults.inject({ kind: 'drop-reply', times: 1 });
    await expect(post(emulator.url, {})).rejects.toThrow();
    expect(runs()).toBe(1);
    emulator.faults.inject({ kind: 'refuse', status: 503, times: 1 });
    expect((await post(emulator.url, {})).status).toBe(503);
    expect(runs()).toBe(1);
    expect(await (await post(emulator.url, {})).json()).toBe(2);
  });

  it('matches by substring or function, and counts what it met', async () => {
    const { handle, runs } = counting();
    const emulator = await start({ handle });
    const bySubstring = emulator.faults.inject({ kind: 'refuse', status: 503, match: '"EVAL"' });
    const byFunction = emulator.faults.inject({
      kind: 'refuse',
      status: 500,
      match: ({ path }) => path === '/pipeline',
    });
    expect((await post(emulator.url, ['EVAL', 'x'])).status).toBe(503);
    expect((await post(`${emulator.url}/pipeline`, [])).status).toBe(500);
    expect((await post(emulator.url, ['GET', 'x'])).status).toBe(200);
    expect([bySubstring.hits, byFunction.hits, runs()]).toEqual([1, 1, 1]);
    bySubstring.remove();
    expect((await post(emulator.url, ['EVAL', 'x'])).status).toBe(200);
  });

  it('runs a delayed operation even if the client has given up', async () => {
    let ran: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      ran = resolve;
    });
    const emulator = await start({
      handle: () => {
        ran();
        return { status: 204 };
      },
    });
    emulator.faults.inject({ kind: 'latency', latencyMs: 50 });
    const planned = vi.spyOn(emulator.faults, 'plan');
    const client = new AbortController();
    const asked = fetch(emulator.url, { signal: client.signal });
    // A command that never arrived would not run.
    await vi.waitFor(() => expect(planned).toHaveBeenCalled(), { timeout: 10_000, interval: 1 });
    client.abort();
    await expect(asked).rejects.toThrow();
    await expect(done).resolves.toBeUndefined();
  });

  it('is controlled by other processes over HTTP', async () => {
    const { handle } = counting();
    const emulator = await start({ handle });
    const control = `${emulator.url}/__faults`;
    expect((await post(control, { kind: 'refuse', status: 503, match: 'GET /a' })).status).toBe(204);
    expect((await fetch(`${emulator.url}/a`)).status).toBe(503);
    expect((await fetch(`${emulator.url}/b`)).status).toBe(200);
    expect((await fetch(control, { method: 'DELETE' })).status).toBe(204);
    expect((await fetch(`${emulator.url}/a`)).status).toBe(200);
    expect((await fetch(control)).status).toBe(405);
  });

  it.each([
    [{ kind: 'slow' }, 'kind must be latency, refuse or drop-reply'],
    [{ kind: 'latency' }, 'latency needs latencyMs'],
    [{ kind: 'latency', latencyMs: -1 }, 'latencyMs must be a whole number'],
    [{ kind: 'refuse', status: 200 }, 'status must be a whole number'],
    [{ kind: 'refuse', times: 0 }, 'times must be a whole number'],
    [{ kind: 'refuse', match: 1 }, 'match must be a substring'],
    [null, 'a fault is a JSON object'],
  ])('says what is wrong with the fault %j', async (fault, message) => {
    const emulator = await start();
    const response = await post(`${emulator.url}/__faults`, fault);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringContaining(message) });
  });
});

describe('web pages', () => {
  it('cannot use a emulator, by an Origin or by a name that leads to loopback', async () => {
    const emulator = await startHttpEmulator({
      port: 0,
      handle: () => ({ status: 200, body: { reached: true } }),
    });
    const ask = (headers: Record<string, string>, path = '/') =>
      new Promise<number | undefined>((resolve, reject) => {
        const request = httpRequest(
          { host: '127.0.0.1', port: emulator.port, method: 'POST', path, headers },
          (response) => {
            response.resume();
            response.on('end', () => resolve(response.statusCode));
          },
        );
        request.on('error', reject);
        request.end('{"kind":"refuse"}');
      });
    expect(await ask({ origin: 'https://evil.example' }, '/__faults')).toBe(403);
    expect(await ask({ host: 'evil.example' }, '/__faults')).toBe(403);
    expect(await ask({})).toBe(200);
    await emulator.close();
  });
});
