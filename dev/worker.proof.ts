import { readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stack } from '../test/support.ts';
import { sign } from './emulators/qstash-delivery.ts';
import { findFreePort } from './ports.ts';
import { readCommandLine, readProcessStart } from './process.ts';
import { makeTemporaryDir } from './stack.ts';
import { buildWorkerVariables, startWorker } from './worker.ts';

let dir: string;
beforeAll(async () => {
  dir = await makeTemporaryDir();
});
afterAll(() => rmSync(dir, { recursive: true }));

it('speaks to the stack, with no secret on a command line, and ends with workerd', async () => {
  const values = stack();
  const spawned: number[] = [];
  const worker = await startWorker({
    dir,
    port: await findFreePort(0),
    variables: buildWorkerVariables(values),
    onSpawn: ({ pid }) => spawned.push(pid),
  });
  const ready = await fetch(`${worker.url}/readyz`);
  expect(await ready.json()).toEqual({ status: 'ready', persistence: { database: true, cache: true } });
  expect(spawned).toEqual([worker.pid]);
  // The signature of the local queue is accepted: only its body is refused here.
  const [body, url] = ['[]', `${worker.url}/jobs/drain`];
  const post = (signature: string) =>
    fetch(url, { method: 'POST', body, headers: { 'Upstash-Signature': signature } });
  expect((await post(sign(url, Buffer.from(body), values.qstashCurrentSigningKey))).status).toBe(489);
  expect((await post(sign(url, Buffer.from(body), 'sig_of_somebody_else'))).status).toBe(401);
  expect(readCommandLine(worker.pid)).toContain('--env-file');
  for (const secret of [values.databaseUrl, values.redisRestToken])
    expect(readCommandLine(worker.pid)).not.toContain(secret);
  expect(statSync(join(dir, 'worker.env')).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(dir, 'worker.log'), 'utf8')).not.toContain(values.redisRestToken);
  await worker.kill();
  expect(readProcessStart(worker.pid)).toBeNull();
  await expect(fetch(worker.url)).rejects.toThrow();
});

it('that does not start says why', async () => {
  const server = createServer((_, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await expect(startWorker({ dir, port, variables: {} })).rejects.toThrow(
    /^The Worker did not start .*worker\.log:\n.*in use/s,
  );
  server.close();
});
