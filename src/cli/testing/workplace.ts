import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createApp } from '../../../functions/app.ts';
import { composeNode } from '../../../functions/compose-node.ts';
import { stack, uniqueName } from '../../../test/support.ts';
import type { WorldState } from '../../world/types.ts';
import type { Run } from './run-cli.ts';
import { runHere } from './run-here.ts';
import { serveApp } from './serve-app.ts';

/** A folder, a served app on the real database, and a key of a tenant of its own. */
export interface Workplace {
  tenant: string;
  folder: string;
  url: string;
  /** The environment of a command. */
  env: Record<string, string>;
  run(...args: string[]): Promise<Run>;
  /** The --json output of a command that succeeds. */
  runJson(...args: string[]): Promise<Record<string, unknown>>;
  request(path: string, method?: string, body?: unknown): Promise<Response>;
  loadState(space: string): Promise<WorldState>;
  close(): Promise<void>;
}

/** @param settings more variables of the server */
export async function openWorkplace(settings: Record<string, string> = {}): Promise<Workplace> {
  const tenant = uniqueName('cli');
  const folder = await mkdtemp(join(tmpdir(), 'worldkeep-cli-'));
  const assets = await mkdtemp(join(tmpdir(), 'worldkeep-assets-'));
  const { databaseUrl, databaseHttpUrl } = stack();
  const composition = composeNode({
    DATABASE_URL: databaseUrl,
    DATABASE_HTTP_URL: databaseHttpUrl,
    ASSET_DIR: assets,
    LOG_LEVEL: 'error',
    ...settings,
  });
  const app = createApp(composition);
  const served = await serveApp((request) =>
    app.fetch(request, { remoteAddress: '127.0.0.1', cut: () => undefined }),
  );
  const made = await runHere(['keys', 'create', '--tenant', tenant, '--scopes', 'read,write'], {
    env: { DATABASE_URL: databaseUrl },
  });
  const env = { WORLDKEEP_URL: served.url, WORLDKEEP_API_KEY: made.stdout.trim() };
  const run = (...args: string[]) => runHere(args, { env, cwd: folder });
  const request = (path: string, method = 'GET', body?: unknown) =>
    fetch(`${served.url}/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${env.WORLDKEEP_API_KEY}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  return {
    tenant,
    folder,
    env,
    url: served.url,
    run,
    request,
    async runJson(...args) {
      const { code, stdout, stderr } = await run(...args, '--json');
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout);
    },
    async loadState(space) {
      const response = await request(`/spaces/${space}/state`);
      expect(response.status).toBe(200);
      return (await response.json()) as WorldState;
    },
    async close() {
      await served.close();
      await composition.close();
      for (const each of [folder, assets]) await rm(each, { recursive: true, force: true });
    },
  };
}

/** The parts of a world that must survive: everything except its space and its times. */
export function contentOf({ objects, users, models, media, chat }: WorldState) {
  const strip = (items: readonly object[]) =>
    items.map((item) => {
      const { spaceId, seq, updatedAt, updatedBy, ...rest } = item as Record<string, unknown>;
      return rest;
    });
  return {
    objects: strip(objects),
    users: strip(users),
    models: strip(models),
    media: strip(media),
    chat: strip(chat),
  };
}
