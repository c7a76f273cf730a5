import { expect, it } from 'vitest';
import { startNode } from './http/node-target.ts';
import { OVER_TCP } from './http/runtimes.ts';
import { stack } from './support.ts';
import { CERTIFICATE_FILE, startTlsProxy } from './tls-proxy.ts';

it('a Node server reports at its start which stores refuse it, without a secret, and continues', async () => {
  const databaseUrl = Object.assign(new URL(stack().databaseUrl), { password: 'hunter2' }).href;
  const target = await startNode(OVER_TCP.makeEnv({ DATABASE_URL: databaseUrl, REDIS_PASSWORD: 'hunter2' }));
  await expect.poll(() => target.lines.filter((line) => line.includes('store_unavailable')).length).toBe(2);
  const said = target.lines
    .filter((line) => line.includes('"event":"store_unavailable"'))
    .map((line) => JSON.parse(line));
  expect(said).toMatchObject([
    { level: 'error', message: expect.stringContaining('the password in DATABASE_URL') },
    { level: 'error', message: expect.stringContaining('the password in REDIS_PASSWORD') },
  ]);
  expect((await target.fetch('/readyz')).status).toBe(503);
  expect((await target.fetch('/livez')).status).toBe(200);
  await target.stop();
  expect(target.lines.join()).not.toContain('hunter2');
});

it('rediss:// works if the authority of the certificate is trusted', async () => {
  const { port, password } = new URL(stack().redisUrl);
  const proxy = await startTlsProxy('redis', Number(port));
  const target = await startNode(
    OVER_TCP.makeEnv({
      REDIS_HOST: '',
      REDIS_PORT: '',
      REDIS_PASSWORD: '',
      REDIS_URL: `rediss://:${password}@127.0.0.1:${proxy.port}/0`,
      NODE_EXTRA_CA_CERTS: CERTIFICATE_FILE,
    }),
  );
  expect((await target.fetch('/readyz')).status).toBe(200);
  await target.stop();
  await proxy.close();
});
