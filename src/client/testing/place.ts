import { afterAll, beforeAll } from 'vitest';
import { startNode } from '../../../test/http/node-target.ts';
import { OVER_TCP } from '../../../test/http/runtimes.ts';
import type { Target, TargetEnv } from '../../../test/http/targets.ts';
import { uniqueName } from '../../../test/support.ts';
import { makeTenant } from '../../../test/tenants.ts';
import type { MirrorState } from '../mirror.ts';
import type { World } from '../world.ts';

/** One space of a new tenant, on a running server. */
export interface Place {
  url: string;
  space: string;
  /** An API key with all scopes. */
  key: string;
  /** Opens a session of a person, who is created first. @returns the token */
  join(userId: string, role?: 'viewer' | 'editor' | 'owner', ttlSeconds?: number): Promise<string>;
  call<Answer>(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The state as the server shows it. */
  state(): Promise<MirrorState>;
}

/** The people who exist already, each after the key of their tenant. */
const people = new Set<string>();

/** Makes a space on a server. @param key of an existing tenant; absent: of a new one */
export async function makePlace(target: Pick<Target, 'fetch' | 'address'>, known?: string): Promise<Place> {
  const key = known ?? (await (await makeTenant()).apiKey(['read', 'write', 'admin']));
  const space = uniqueName('space');
  async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await target.fetch(path, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? null : JSON.parse(text)) as Answer;
  }
  await call('PUT', `/v1/spaces/${space}`, { name: 'A place' });
  const { host, port } = target.address as { host: string; port: number };
  return {
    url: `http://${host}:${port}`,
    space,
    key,
    call,
    async join(userId, role = 'editor', ttlSeconds = 3_600) {
      if (!people.has(`${key} ${userId}`))
        await call('PUT', `/v1/users/${userId}`, { displayName: `The ${userId}` });
      people.add(`${key} ${userId}`);
      const session = { userId, spaceId: space, role, ttlSeconds };
      return (await call<{ token: string }>('POST', '/v1/sessions', session)).token;
    },
    state: () => call('GET', `/v1/spaces/${space}/state`),
  };
}

/** One Node server for all tests of a file. */
export function useServer(env: TargetEnv = {}): () => Target {
  let target: Target;
  beforeAll(async () => {
    target = await startNode(OVER_TCP.makeEnv(env));
  });
  afterAll(() => target?.stop());
  return () => target;
}

/** The parts that a mirror shares with the server's state, in the form of the state. */
export function describeState({ objects, users, chat }: MirrorState): object {
  return {
    objects: Object.fromEntries(
      objects.map(({ spaceId, createdAt, updatedAt, ...object }) => [object.id, object]),
    ),
    users: Object.fromEntries(users.map((user) => [user.id, user])),
    chat: chat.map(({ createdAt, ...message }) => message),
  };
}

/** The same of a mirror without pending changes. */
export function describeWorld(world: World): object {
  return {
    objects: Object.fromEntries([...world.objects].map(([id, { createdSeq, ...object }]) => [id, object])),
    users: Object.fromEntries(world.users),
    chat: [...world.chat.messages],
  };
}
