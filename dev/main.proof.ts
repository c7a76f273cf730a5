import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { RESTARTS_MAX } from './keep-worker.ts';
import { findFreePort } from './ports.ts';
import { listDescendants, readCommandLine, readProcessStart } from './process.ts';
import { makeTemporaryDir } from './stack.ts';

const TEST_MS_MAX = 300_000;
const WAIT = { timeout: 120_000, interval: 200 };

it(
  '`npm run dev` restarts a Worker whose workerd dies, and gives up in the end',
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
      await expect.poll(() => output, WAIT).toContain('Ctrl-C ends it all.');

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
      for (let restarts = 0; child.exitCode === null; restarts++) {
        const runtimes = findRuntimes();
        expect(runtimes).toHaveLength(2);
        process.kill(runtimes[restarts % 2] ?? 0, 'SIGKILL');
        await expect
          .poll(() => countSaid('the Worker answers again') > restarts || child.exitCode !== null, WAIT)
          .toBe(true);
        for (const pid of runtimes) expect(readProcessStart(pid)).toBe(null);
        if (child.exitCode !== null) break;
        expect(countSaid('the Worker died (a workerd process ended): restarting it')).toBe(restarts + 1);
        expect(await readStatus()).toBe(200);
      }
      expect(countSaid('the Worker answers again')).toBeGreaterThanOrEqual(RESTARTS_MAX);
      expect(await exit).toEqual([1, null]);
      expect(output).toMatch(/The Worker died \(a workerd process ended\) after 3 restarts within 60 s/);
    } finally {
      child.kill('SIGTERM');
      await exit;
      rmSync(dir, { recursive: true, force: true });
    }
  },
  TEST_MS_MAX,
);
