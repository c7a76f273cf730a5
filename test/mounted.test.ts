import { Hono } from 'hono';
import { beforeAll, describe, expect, it } from 'vitest';
import { connect } from 'worldkeep/client';
import worldkeep from '../functions/worker.ts';
import { OVER_HTTP } from './http/runtimes.ts';
import { uniqueName } from './support.ts';
import { makeTenant } from './tenants.ts';

const PUBLIC_URL = 'https://game.example/worlds';
const context = { waitUntil: (work: Promise<unknown>) => void work.catch(() => undefined) };
const space = uniqueName('space');
let key: string;
let send: (request: Request) => Promise<Response>;

beforeAll(async () => {
  const env = OVER_HTTP.makeEnv({ PUBLIC_URL });
  const game = new Hono();
  game.get('/hello', (c) => c.text('the game'));
  game.mount('/worlds', worldkeep.fetch as never);
  send = async (request) => game.fetch(request, env, context as never);
  key = await (await makeTenant()).apiKey(['read', 'write', 'admin']);
});

function call(method: string, path: string, body?: object): Promise<Response> {
  return send(
    new Request(`${PUBLIC_URL}${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    }),
  );
}

describe('the API below a path of another app', () => {
  it('names addresses with that path', async () => {
    const created = await call('PUT', `/v1/spaces/${space}`, { name: 'Plaza' });
    expect(created.headers.get('Location')).toBe(`/worlds/v1/spaces/${space}`);
    const chair = await call('PUT', `/v1/spaces/${space}/objects/chair`, {});
    const location = chair.headers.get('Location') ?? '';
    expect(location).toBe(`/worlds/v1/spaces/${space}/objects/chair`);
    expect((await call('GET', location.replace('/worlds', ''))).status).toBe(200);
    const missing = await call('GET', '/v1/spaces/nowhere');
    expect(await missing.json()).toMatchObject({ instance: '/worlds/v1/spaces/nowhere' });
    const home = await call('GET', '');
    expect(await home.json()).toMatchObject({ links: { docs: '/worlds/docs' } });
    const description = await call('GET', '/openapi.json');
    expect(await description.json()).toMatchObject({ servers: [{ url: '/worlds' }] });
  });

  it('leaves the other routes to the app', async () => {
    const answer = await send(new Request('https://game.example/hello'));
    expect(await answer.text()).toBe('the game');
  });

  it('serves the client', async () => {
    await call('PUT', `/v1/spaces/${space}`, { name: 'Plaza' });
    const fetch = (url: string, init: RequestInit) => send(new Request(url, init));
    const world = connect({ url: PUBLIC_URL, space, token: key, batchMs: 5, fetch: fetch as never });
    await world.ready;
    await world.put('lamp').reached('queued');
    expect(world.objects.has('lamp')).toBe(true);
    await world.close({ timeoutMs: 0 });
  });
});
