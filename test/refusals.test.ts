import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../functions/app.ts';
import { composeNode } from '../functions/compose-node.ts';
import { runDoctor } from '../src/cli/testing/doctor-report.ts';
import { OVER_TCP } from './http/runtimes.ts';
import type { TargetEnv } from './http/targets.ts';
import { startTestRedis, type TestRedis } from './start-redis.ts';
import { stack, uniqueName } from './support.ts';
import { makeTenant } from './tenants.ts';
import { CERTIFICATE_FILE, startTlsProxy, type TlsProxy } from './tls-proxy.ts';

const SECRET = 'hunter2hunter2';
const NO_HOST = 'no-such-host.invalid';

/** Asks the functions on Node. @returns the answers to /readyz, a read and a write */
async function ask(env: TargetEnv, apiKey: string) {
  const composition = composeNode(OVER_TCP.makeEnv({ LOG_LEVEL: 'silent', ...env }));
  const app = createApp(composition);
  const request = async (method: string, path: string, json?: unknown) => {
    const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json', Prefer: 'wait' };
    const init = { method, headers, ...(json !== undefined && { body: JSON.stringify(json) }) };
    const response = await app.request(path, init, { remoteAddress: '127.0.0.1', cut: () => undefined });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  try {
    return [
      await request('GET', '/readyz'),
      await request('GET', '/v1/spaces/here/objects'),
      await request('POST', '/v1/spaces/here/updates', { ops: [{ op: 'put', id: 'o' }] }),
    ] as const;
  } finally {
    await composition.close();
  }
}

describe('a store that refuses', () => {
  let cluster: TestRedis;
  let proxies: { postgres: TlsProxy; redis: TlsProxy };
  let names: { empty: string; role: string };
  let folder: string;
  let apiKey: string;
  const asSuperuser = async (...statements: string[]) => {
    const { pathname } = new URL(stack().databaseUrl);
    const url = Object.assign(new URL(stack().superuserUrl), { pathname });
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };
  beforeAll(async () => {
    names = { empty: uniqueName('db').replace('-', '_'), role: uniqueName('role').replace('-', '_') };
    const ports = [stack().databaseUrl, stack().redisUrl].map((url) => Number(new URL(url).port));
    const [postgres, redis, ...rest] = await Promise.all([
      startTlsProxy('postgres', ports[0] ?? 0),
      startTlsProxy('redis', ports[1] ?? 0),
      startTestRedis(SECRET, ['cluster-enabled yes', 'cluster-config-file nodes.conf']),
      mkdtemp(join(tmpdir(), 'worldkeep-refusals-')),
      asSuperuser(
        `CREATE DATABASE ${names.empty}`,
        `CREATE ROLE ${names.role} LOGIN PASSWORD '${SECRET}'`,
        `GRANT USAGE ON SCHEMA public TO ${names.role}`,
      ),
    ]);
    proxies = { postgres, redis };
    [cluster, folder] = rest;
    const tenant = await makeTenant();
    apiKey = await tenant.apiKey(['read', 'write']);
  });
  afterAll(async () => {
    await Promise.all([cluster?.stop(), proxies?.postgres.close(), proxies?.redis.close()]);
    await asSuperuser(
      `DROP DATABASE IF EXISTS ${names.empty}`,
      `DROP OWNED BY ${names.role}`,
      `DROP ROLE ${names.role}`,
    );
    await rm(folder, { recursive: true });
  });

  const postgresAt = (changes: Record<string, string>) => ({
    DATABASE_URL: Object.assign(new URL(stack().databaseUrl), changes).href,
  });
  const redisAt = (changes: Record<string, string>) => ({
    REDIS_HOST: '',
    REDIS_PORT: '',
    REDIS_PASSWORD: '',
    REDIS_URL: Object.assign(new URL(stack().redisUrl), changes).href,
  });
  const tls = () => ({ port: String(proxies.postgres.port) });

  it.each<[cause: string, words: RegExp, env: () => TargetEnv]>([
    [
      'without TLS',
      /does not offer TLS, and DATABASE_URL/,
      () => postgresAt({ search: '?sslmode=verify-full' }),
    ],
    [
      'whose certificate is not trusted',
      /certificate of Postgres at DATABASE_URL is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
      () => postgresAt({ ...tls(), search: '?sslmode=verify-full' }),
    ],
    ['at an unknown host', /host in DATABASE_URL cannot be found/, () => postgresAt({ hostname: NO_HOST })],
    [
      'where nothing listens',
      /cannot be reached .* DATABASE_URL \(ECONNREFUSED\)/,
      () => postgresAt({ port: '9' }),
    ],
    [
      'that refuses the password',
      /role or the password in DATABASE_URL/,
      () => postgresAt({ password: SECRET }),
    ],
    ['that needs a password', /role or the password in DATABASE_URL/, () => postgresAt({ password: '' })],
    [
      'without the database',
      /DATABASE_URL names does not exist/,
      () => postgresAt({ pathname: `/${SECRET}` }),
    ],
    [
      'without the migrations',
      /DATABASE_URL names is not migrated/,
      () => postgresAt({ pathname: names.empty }),
    ],
    [
      'whose role has no rights',
      /role in DATABASE_URL lacks a right/,
      () => postgresAt({ username: names.role, password: SECRET }),
    ],
    [
      'whose certificate file does not exist',
      /A file that DATABASE_URL names cannot be read/,
      () => postgresAt({ search: `?sslmode=verify-full&sslrootcert=/nowhere/${SECRET}` }),
    ],
  ])('is named: a Postgres %s', async (_, words, makeEnv) => {
    const [ready, ...answers] = await ask(makeEnv(), apiKey);
    expect(ready.body.errors).toEqual([
      { path: '/persistence/database', message: expect.stringMatching(words) },
    ]);
    for (const { status, body } of [ready, ...answers]) {
      expect([status, body.code, body.detail]).toEqual([
        503,
        'store_unavailable',
        expect.stringMatching(words),
      ]);
      expect(JSON.stringify(body)).not.toContain(SECRET);
    }
    const doctor = await runDoctor(makeEnv(), folder);
    expect(doctor.code).toBe(1);
    expect(doctor.text).toMatch(
      words.source.includes('migrated')
        ? /no migration has ever run here/
        : words.source.includes('lacks')
          ? /postgres\.access.*lacks/
          : words,
    );
    expect(doctor.text).not.toContain(SECRET);
  });

  it.each<[cause: string, words: RegExp, env: () => TargetEnv]>([
    ['in cluster mode', /REDIS_URL runs in cluster mode/, () => ({ ...redisAt({}), REDIS_URL: cluster.url })],
    ['that refuses the password', /password in REDIS_URL/, () => redisAt({ password: SECRET })],
    ['that needs a password', /password in REDIS_PASSWORD/, () => ({ REDIS_PASSWORD: '' })],
    [
      'that does not know the user',
      /the user or the password in REDIS_URL/,
      () => redisAt({ username: SECRET }),
    ],
    ['without the database', /REDIS_URL does not have the database/, () => redisAt({ pathname: '/99' })],
    ['at an unknown host', /host in REDIS_HOST cannot be found/, () => ({ REDIS_HOST: NO_HOST })],
    [
      'where nothing listens',
      /cannot be reached .* REDIS_HOST \(ECONNREFUSED\)/,
      () => ({ REDIS_PORT: '9' }),
    ],
    [
      'whose certificate is not trusted',
      /certificate of Redis at REDIS_URL is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
      () => {
        const { password } = new URL(stack().redisUrl);
        return { ...redisAt({}), REDIS_URL: `rediss://:${password}@127.0.0.1:${proxies.redis.port}` };
      },
    ],
  ])('is named: a Redis %s', async (_, words, makeEnv) => {
    const [ready, read, write] = await ask(makeEnv(), apiKey);
    expect(ready.body.errors).toEqual([
      { path: '/persistence/cache', message: expect.stringMatching(words) },
    ]);
    // Objects come from Postgres, and the space does not exist.
    expect(read.status).toBe(404);
    for (const { status, body } of [ready, write]) {
      expect([status, body.code, body.detail]).toEqual([
        503,
        'store_unavailable',
        expect.stringMatching(words),
      ]);
      expect(JSON.stringify(body)).not.toContain(SECRET);
    }
    const doctor = await runDoctor(OVER_TCP.makeEnv(makeEnv()), folder);
    expect([doctor.code, doctor.wrong]).toEqual([1, ['redis']]);
    expect(doctor.find('redis')?.message).toMatch(words);
    expect(doctor.text).not.toContain(SECRET);
  });

  it('works if the authority of its certificate is configured', async () => {
    const search = `?sslmode=verify-full&sslrootcert=${encodeURIComponent(CERTIFICATE_FILE)}`;
    const [ready] = await ask(postgresAt({ ...tls(), search }), apiKey);
    expect([ready.status, ready.body]).toEqual([
      200,
      { status: 'ready', persistence: { database: true, cache: true } },
    ]);
  });

  it('works if REDIS_URL has a user, a password and a database', async () => {
    const [ready] = await ask(redisAt({ username: 'default', pathname: '/1' }), apiKey);
    expect(ready.status).toBe(200);
  });
});
