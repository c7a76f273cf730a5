import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApp } from '../../functions/app.ts';
import type { Composition } from '../../functions/compose.ts';
import { composeNode } from '../../functions/compose-node.ts';
import { type Call, createCall } from '../http/client.ts';
import { makeGlb } from '../http/glb.ts';
import { type OwnRedis, openOwnRedis } from '../http/own-redis.ts';
import { makeEnv } from '../http/targets.ts';
import { type OwnDatabase, openOwnDatabase } from '../own-database.ts';
import { uniqueName } from '../support.ts';

let database: OwnDatabase;
let redis: OwnRedis;
let folder: string;
let composition: Composition;
let tenant: string;
let call: Call;
beforeAll(async () => {
  [database, redis] = await Promise.all([openOwnDatabase(), openOwnRedis('tcp')]);
  folder = await mkdtemp(join(tmpdir(), 'worldkeep-deleted-'));
  composition = composeNode(
    makeEnv({ ...redis.env, DATABASE_URL: database.url, DATABASE_HTTP_URL: '', ASSET_DIR: folder }),
  );
  tenant = uniqueName('t');
  const { secret } = await composition.apiKeys.issueFirst(tenant, { scopes: ['read', 'write', 'admin'] });
  const app = createApp(composition);
  const fetch = (path: string, init?: RequestInit) =>
    Promise.resolve(app.request(path, init, { remoteAddress: '127.0.0.1', cut: () => undefined }));
  call = createCall({ fetch, address: null, lines: [], stop: async () => undefined }, secret);
});
afterAll(async () => {
  await composition?.close();
  await Promise.all([database?.close(), redis?.close()]);
  await rm(folder, { recursive: true, force: true });
});

const WAIT = { Prefer: 'wait' };
/** Keys of answers and budgets. */
const EXPIRES_SOON = /\}:(idem|message|budget|chat-budget):/;

async function make(space: string): Promise<void> {
  const at = `/v1/spaces/${space}`;
  const ask = async (method: string, path: string, json?: unknown, headers?: Record<string, string>) => {
    const { status } = await call(method, path, {
      ...(json !== undefined && { json }),
      ...(headers && { headers }),
    });
    expect(status, `${method} ${path}`).toBeLessThan(300);
  };
  await ask('PUT', at, { name: space });
  await ask('PUT', '/v1/users/ann', { displayName: 'Ann' });
  await ask('PUT', `${at}/state`, {
    objects: [{ id: 'saved' }],
    chat: [{ id: 'c', userId: 'ann', text: 'Hello', createdAt: '2020-01-01T00:00:00.000Z' }],
    models: [{ id: 'm', url: 'https://models.example/m.glb' }],
  });
  await ask(
    'POST',
    `${at}/updates`,
    {
      ops: [
        { op: 'put', id: 'lamp' },
        { op: 'delete', id: 'saved' },
      ],
    },
    WAIT,
  );
  await ask('POST', `${at}/chat`, { text: 'Hello', userId: 'ann' });
  await ask('GET', `${at}/state`);
  await ask('GET', `${at}/presence`);
}

async function remove(space: string): Promise<void> {
  expect((await call('DELETE', `/v1/spaces/${space}`)).status).toBe(204);
  await database.admin.query(`update spaces set deleted_at = now() - interval '8 days' where space_id = $1`, [
    space,
  ]);
}

/** Rows with the name of a space, by table. */
async function countRows(space: string): Promise<Record<string, number>> {
  const { rows: tables } = await database.admin.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'space_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`,
  );
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await database.admin.query<{ n: number }>(
      `select count(*)::int as n from ${name} where space_id = $1`,
      [space],
    );
    if (rows[0]?.n) counts[name] = rows[0].n;
  }
  return counts;
}

const countObjects = async () =>
  (await database.admin.query<{ n: number }>('select count(*)::int as n from world_objects')).rows[0]?.n;

it('[U4] goes for good: its rows, its keys in Redis, and nothing of another space', async () => {
  for (const space of ['doomed', 'other', 'again']) await make(space);
  const bytes = makeGlb();
  const file = await call('POST', '/v1/models?name=a.glb', {
    text: bytes,
    headers: { 'Content-Type': 'model/gltf-binary', 'Content-Length': String(bytes.length) },
  });
  expect(file.status).toBe(201);
  await remove('doomed');
  await remove('again');
  await make('again');
  const keysOf = async (space: string) => {
    const keys = await redis.client.keys(`*{${tenant}!${space}}*`);
    return keys.filter((key) => !EXPIRES_SOON.test(key));
  };
  const [other, again] = [await countRows('other'), await countRows('again')];
  const [otherKeys, againKeys] = [(await keysOf('other')).toSorted(), (await keysOf('again')).toSorted()];
  expect(Object.keys(await countRows('doomed'))).toEqual(
    expect.arrayContaining(['spaces', 'worlds', 'chat_messages']),
  );
  const objects = (await countObjects()) ?? 0;

  const { counts, failed, left } = await composition.upkeep.run({ budgetMs: 60_000 });
  expect([failed, left, counts.spaces]).toEqual([[], [], 1]);

  // Figures of past days are kept.
  expect(await countRows('doomed')).toEqual({ space_days: 1 });
  expect(await keysOf('doomed')).toEqual([]);
  // A day passes before a space goes for good.
  for (const key of await redis.client.keys('*')) {
    if (!EXPIRES_SOON.test(key)) continue;
    const seconds = await redis.client.ttl(key);
    // -2: it has just expired.
    expect(seconds === -2 || (seconds >= 0 && seconds <= 86_400), key).toBe(true);
  }
  expect([await countRows('other'), (await keysOf('other')).toSorted()]).toEqual([other, otherKeys]);
  expect(await countRows('again')).toEqual({ ...again, worlds: 1 });
  expect((await keysOf('again')).toSorted()).toEqual(againKeys);
  expect(await countObjects()).toBeLessThan(objects);
  for (const space of ['other', 'again']) {
    const { status, body } = await call('GET', `/v1/spaces/${space}/state`);
    expect([status, body.objects.map(({ id }: { id: string }) => id)]).toEqual([200, ['lamp']]);
  }
  expect((await call('GET', '/v1/spaces/doomed')).status).toBe(404);

  // The library belongs to the tenant. Its bytes go with their last use.
  const listBytes = async () =>
    (await readdir(folder, { recursive: true })).filter((name) => name.startsWith('files/'));
  expect(await listBytes()).not.toEqual([]);
  expect((await call('DELETE', `/v1/models/${file.body.id}`)).status).toBe(204);
  await composition.upkeep.run({ budgetMs: 60_000 });
  expect(await listBytes()).toEqual([]);

  // A space of the same name begins after the end of the other.
  await make('doomed');
  const { body } = await call('GET', '/v1/spaces/doomed/state');
  expect(body.objects.map(({ id }: { id: string }) => id)).toEqual(['lamp']);
});
