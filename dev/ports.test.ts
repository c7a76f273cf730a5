import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { findFreePort } from './ports.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function holdPort(): Promise<number> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

it('takes the next free port where one is taken or promised', async () => {
  const held = await holdPort();
  const next = await findFreePort(held);
  expect(next).toBeGreaterThan(held);
  expect(await findFreePort(next, new Set([next]))).toBeGreaterThan(next);
});

it('takes no port that the system may give to a connection while its server restarts', async () => {
  for (let i = 0; i < 20; i++) {
    const port = await findFreePort(0);
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_768);
  }
});

it('says what to do where there is none', async () => {
  await expect(findFreePort(65_536)).rejects.toThrow('--port');
});
