import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiKeys } from '../src/access/api-keys.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { openPg } from '../src/postgres/pg.ts';
import { SQUARE } from './square.ts';

export interface FirstWorld {
  apiKey: string;
  tenantId: string;
  spaceId: string;
}

export const DEMO_TENANT_ID = 'demo';
export const DEMO_SPACE_ID = 'main';

const FILE = 'first-world.json';
const TIMEOUT_MS = 15_000;

/** Makes a tenant where it is new, and a key of it with all scopes. */
export async function issueKey(databaseUrl: string, tenantId: string): Promise<string> {
  const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: TIMEOUT_MS });
  try {
    const keys = new ApiKeys(createApiKeyStore(postgres), { now: Date.now, cacheMs: 0 });
    return (await keys.issueFirst(tenantId, { scopes: ['read', 'write', 'admin'] })).secret;
  } finally {
    await postgres.close();
  }
}

/**
 * The demo tenant's key, space and objects. They are created on the first start, and again if the database was emptied. Otherwise the
 * developer's changes stay.
 * @param url the running Worker's
 */
export async function ensureFirstWorld(
  dir: string,
  { url, databaseUrl, log }: { url: string; databaseUrl: string; log(line: string): void },
): Promise<FirstWorld> {
  const kept = readKept(dir);
  if (kept !== null && (await request(url, kept.apiKey, 'GET', '/v1/spaces?limit=1')).status !== 401)
    return kept;
  log(`making the tenant ${DEMO_TENANT_ID} with a key and a space`);
  const apiKey = await issueKey(databaseUrl, DEMO_TENANT_ID);
  const space = `/v1/spaces/${DEMO_SPACE_ID}`;
  await put(url, apiKey, space, { name: 'Town square', description: 'Made by the first npm run dev' });
  await put(url, apiKey, `${space}/state?mode=merge`, { objects: SQUARE });
  const made = { apiKey, tenantId: DEMO_TENANT_ID, spaceId: DEMO_SPACE_ID };
  writeFileSync(join(dir, FILE), `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  return made;
}

function readKept(dir: string): FirstWorld | null {
  try {
    const { apiKey, tenantId, spaceId } = JSON.parse(readFileSync(join(dir, FILE), 'utf8'));
    return [apiKey, tenantId, spaceId].every((it) => typeof it === 'string')
      ? { apiKey, tenantId, spaceId }
      : null;
  } catch {
    return null;
  }
}

async function put(url: string, apiKey: string, path: string, body: unknown): Promise<void> {
  const { status, text } = await request(url, apiKey, 'PUT', path, body);
  if (status >= 300)
    throw new Error(`The demo world could not be made: PUT ${path} was answered ${status} ${text}`);
}

async function request(
  url: string,
  apiKey: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}
