import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { openSpace } from '../test/http/client.ts';
import { openEvents } from '../test/http/events.ts';
import { type NodeTarget, startNode } from '../test/http/node-target.ts';
import { OVER_HTTP, OVER_TCP, StartRefused } from '../test/http/runtimes.ts';

/** Far beyond what a test may last: whatever ends earlier did not wait for it. */
const PATIENT = { SHUTDOWN_TIMEOUT_MS: '600000' };

describe('the functions as a process on Node', () => {
  const started: NodeTarget[] = [];
  const start = async (changes = {}) => {
    const target = await startNode(OVER_TCP.makeEnv(changes));
    started.push(target);
    return target;
  };
  afterEach(async () => {
    for (const target of started.splice(0)) {
      target.kill('SIGKILL');
      await target.exited;
    }
  });

  async function openSocket({ address }: NodeTarget): Promise<Socket> {
    const socket = connect(address.port, address.host);
    await once(socket, 'connect');
    return socket;
  }

  it('[R2] ends its streams immediately after a signal, and exits with 0', async () => {
    const target = await start(PATIENT);
    const { at, apiKey, call } = await openSpace(target);
    const client = await openEvents(target, at, { credential: await apiKey(['read']) });
    await call('POST', `${at}/updates`, { json: { ops: [{ op: 'put', id: 'last' }] } });
    await expect.poll(client.ids).toEqual(['last']);
    target.kill('SIGTERM');
    expect(await client.ended).toBe('ended');
    expect(await target.exited).toBe(0);
  });

  /** Sends the head of a PUT and half its body, and waits until the server works at it. */
  async function beginPut(target: NodeTarget): Promise<{ socket: Socket; finish(): Promise<string> }> {
    const { at, apiKey } = await openSpace(target);
    const body = JSON.stringify({ name: 'finished' });
    const socket = await openSocket(target);
    socket.write(
      [
        `PUT ${at}/objects/o HTTP/1.1`,
        `Host: ${target.address.host}`,
        `Authorization: Bearer ${await apiKey(['write'])}`,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Expect: 100-continue',
        '\r\n',
      ].join('\r\n'),
    );
    const [chunk] = await once(socket, 'data');
    expect(String(chunk)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write(body.slice(0, 5));
    return {
      socket,
      finish() {
        socket.write(body.slice(5));
        return text(socket);
      },
    };
  }

  const hasLogged = (target: NodeTarget, event: string) => () =>
    target.lines.some((line) => line.includes(`"event":"${event}"`));

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'takes nothing more after %s, answers what is under way, and ends with 0',
    async (signal) => {
      const target = await start(PATIENT);
      const put = await beginPut(target);
      target.kill(signal);
      await expect.poll(hasLogged(target, 'stopping')).toBe(true);
      await expect.poll(() => openSocket(target).then(String, (error) => error.code)).toBe('ECONNREFUSED');
      const answer = await put.finish();
      expect(answer).toMatch(/^HTTP\/1\.1 201 /);
      expect(answer).toMatch(/^connection: close\r$/im);
      expect(answer).toContain('"name":"finished"');
      expect(await target.exited).toBe(0);
      expect(target.lines.at(-1)).toContain('"event":"stopped","requestsCut":0');
    },
  );

  it('is not held up by connections that are kept alive, or have said nothing yet', async () => {
    const target = await start(PATIENT);
    const [silent, kept] = [await openSocket(target), await openSocket(target)];
    kept.write(`GET /livez HTTP/1.1\r\nHost: here\r\n\r\n`);
    const [chunk] = await once(kept, 'data');
    expect(String(chunk)).toMatch(/^HTTP\/1\.1 200 .*^connection: keep-alive\r$/ims);
    target.kill('SIGTERM');
    expect(await target.exited).toBe(0);
    expect([await text(silent), await text(kept)]).toEqual(['', '']);
  });

  it('cuts what takes longer than it may, and says so', async () => {
    const target = await start({ SHUTDOWN_TIMEOUT_MS: '100' });
    const put = await beginPut(target);
    put.socket.on('error', () => undefined);
    target.kill('SIGTERM');
    expect(await target.exited).toBe(1);
    expect(target.lines.at(-1)).toContain('"event":"stopped","requestsCut":1');
  });

  it('treats two signals in a row as one, and ends immediately at the next', async () => {
    const target = await start(PATIENT);
    const put = await beginPut(target);
    put.socket.on('error', () => undefined);
    target.kill('SIGTERM');
    await expect.poll(hasLogged(target, 'stopping')).toBe(true);
    target.kill('SIGTERM');
    let ended: unknown = null;
    void target.exited.then((how) => {
      ended = how;
    });
    const signalAgain = () => {
      target.kill('SIGINT');
      return ended;
    };
    await expect.poll(signalAgain, { timeout: 10_000, interval: 100 }).toBe(1);
    expect(hasLogged(target, 'stopped')()).toBe(false);
  });

  it('does not start on a port that is taken, and names it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const refusal = await startNode(OVER_TCP.makeEnv({ PORT: String(port) })).catch(
      (error: unknown) => error,
    );
    other.close();
    expect(refusal).toBeInstanceOf(StartRefused);
    expect(refusal).toMatchObject({
      exitCode: 1,
      output: `Another program already uses PORT ${port} on 127.0.0.1.`,
    });
  });

  it('takes headers up to a limit, and says where they are beyond it', async () => {
    const target = await start();
    const socket = await openSocket(target);
    socket.write(`GET /livez HTTP/1.1\r\nHost: here\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('ends with npm, which is told to', async () => {
    const npm = spawn('npm', ['start', '--silent'], {
      cwd: resolve(import.meta.dirname, '..'),
      env: { ...process.env, ...OVER_TCP.makeEnv({ PORT: '0' }) },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const output = createInterface({ input: npm.stdout });
    const [line] = await once(output, 'line');
    const { url } = JSON.parse(String(line)) as { url: string };
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    const last = once(npm, 'exit');
    npm.kill('SIGTERM');
    expect(await last).toEqual([0, null]);
    await expect(fetch(`${url}/livez`)).rejects.toThrow('fetch failed');
  });

  it('reaches its stores over HTTP where it is told to', async () => {
    const target = await startNode(OVER_HTTP.makeEnv({ DATABASE_TIMEOUT_MS: '5000' }));
    started.push(target);
    const { at, call } = await openSpace(target);
    expect((await call('PUT', `${at}/objects/o`, { json: {} })).status).toBe(201);
    expect((await call('GET', '/readyz')).body.persistence).toEqual({ database: true, cache: true });
    await target.stop();
  });
});
