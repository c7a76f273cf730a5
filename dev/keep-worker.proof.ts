import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { findFreePort } from './ports.ts';
import { listDescendants, readCommandLine, readProcessStart } from './process.ts';
import { makeTemporaryDir } from './stack.ts';

const TEST_MS_MAX = 300_000;
const WAIT = { timeout: 120_000, interval: 200 };

it(
  '`npm run dev` answers whatever becomes of a body, and restarts a Worker that dies',
  async () => {
    const dir = await makeTemporaryDir();
    const port = await findFreePort(0);
    const main = join(import.meta.dirname, 'main.ts');
    const child = spawn(process.execPath, [main, '--dir', join(dir, 'kept'), '--port', String(port)], {
      env: { ...process.env, BODY_TIMEOUT_MS: '500' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    const exit = once(child, 'close');
    const countSaid = (said: string) => output.split(said).length - 1;
    const url = `http://127.0.0.1:${port}`;
    const readStatus = async () => {
      const response = await fetch(`${url}/livez`).catch(() => null);
      await response?.body?.cancel();
      return response?.status;
    };
    try {
      await expect.poll(() => output, WAIT).toContain('Ctrl-C stops everything.');

      const { apiKey } = JSON.parse(readFileSync(join(dir, 'kept/dev.json'), 'utf8'));
      const sendPartial = async (head: string, isTruncated: boolean) => {
        const socket = connect(port, '127.0.0.1');
        socket.write(`${head} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer ${apiKey}\r\n`);
        socket.write('Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"name":');
        if (isTruncated) socket.end();
        return text(socket);
      };
      for (const head of ['PUT /v1/spaces/main/objects/cut', 'POST /v1/spaces/main/updates', 'GET /livez']) {
        const truncated = await sendPartial(head, true);
        expect([head, truncated]).toEqual([head, expect.stringMatching(/^HTTP\/1\.1 [24]\d\d /)]);
        expect(truncated).not.toContain('.js:');
        const silent = await sendPartial(head, false);
        expect([head, silent]).toEqual([head, expect.stringMatching(/^HTTP\/1\.1 408 /)]);
      }

      const findRuntimes = () =>
        listDescendants(child.pid ?? 0).filter((pid) => /\/workerd serve /.test(readCommandLine(pid) ?? ''));
      // The older one is wrangler's proxy, without which wrangler never answers again.
      const [proxy = 0, runtime = 0] = findRuntimes().toSorted((a, b) => a - b);
      process.kill(runtime, 'SIGKILL');
      await expect.poll(() => output, WAIT).toContain('wrangler has replaced a workerd process');
      expect(await readStatus()).toBe(200);
      process.kill(proxy, 'SIGKILL');
      await expect.poll(() => countSaid('the Worker answers again'), WAIT).toBe(1);
      expect(output).toContain('the Worker died (a workerd process ended, and nothing has answered for 5 s)');
      expect(await readStatus()).toBe(200);
      // The command line of the older wrangler process is the one that was started.
      const wrangler = listDescendants(child.pid ?? 0).filter((pid) =>
        /\/wrangler\.js dev /.test(readCommandLine(pid) ?? ''),
      );
      process.kill(Math.min(...wrangler), 'SIGKILL');
      await expect.poll(() => countSaid('the Worker answers again'), WAIT).toBe(2);
      expect(output).toContain('the Worker died (wrangler ended with signal SIGKILL): restarting it');
      expect(await readStatus()).toBe(200);

      const runtimes = findRuntimes();
      expect(runtimes).toHaveLength(2);
      child.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
      for (const pid of runtimes) expect(readProcessStart(pid)).toBe(null);
    } finally {
      child.kill('SIGTERM');
      await exit;
      rmSync(dir, { recursive: true, force: true });
    }
  },
  TEST_MS_MAX,
);
