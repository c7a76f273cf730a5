import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { type HTMLButtonElement, type HTMLFormElement, type HTMLInputElement, Window } from 'happy-dom';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from 'worldkeep/client';
import { type NodeTarget, startNode } from './http/node-target.ts';
import { OVER_TCP } from './http/runtimes.ts';
import { makeEnv, readCompatibility } from './http/targets.ts';
import { uniqueName } from './support.ts';
import { makeTenant } from './tenants.ts';

const EXAMPLES = resolve(import.meta.dirname, '../docs/examples');

/** Bundles an example, as a reader's own tool does. The package is the one that `npm run prepare` has built. */
async function bundle(options: BuildOptions): Promise<string> {
  const { outputFiles = [] } = await build({ bundle: true, write: false, jsx: 'automatic', ...options });
  return outputFiles[0]?.text ?? '';
}

/** A space of a new tenant. */
interface Place {
  url: string;
  space: string;
  key: string;
  call<Answer>(method: string, path: string, body?: object): Promise<Answer>;
  /** Creates a person and opens their session. @returns the token */
  join(userId: string): Promise<string>;
}

async function makePlace(url: string, key?: string): Promise<Place> {
  const place: Place = {
    url,
    space: uniqueName('space'),
    key: key ?? (await (await makeTenant()).apiKey(['read', 'write'])),
    async call<Answer>(method: string, path: string, body?: object): Promise<Answer> {
      const headers = { Authorization: `Bearer ${place.key}`, 'Content-Type': 'application/json' };
      const response = await fetch(`${url}${path}`, {
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    },
    async join(userId) {
      await place.call('PUT', `/v1/users/${userId}`, { displayName: userId });
      const session = { userId, spaceId: place.space, role: 'editor' };
      return (await place.call<{ token: string }>('POST', '/v1/sessions', session)).token;
    },
  };
  await place.call('PUT', `/v1/spaces/${place.space}`, { name: 'A place' });
  return place;
}

let api: NodeTarget;
let apiUrl: string;
beforeAll(async () => {
  api = await startNode(OVER_TCP.makeEnv());
  apiUrl = `http://${api.address.host}:${api.address.port}`;
});
afterAll(() => api?.stop());

describe('the React example', () => {
  let script: string;
  const pages: Window[] = [];
  beforeAll(async () => {
    script = await bundle({
      entryPoints: [join(EXAMPLES, 'react/main.jsx')],
      format: 'iife',
      define: { 'process.env.NODE_ENV': '"production"' },
    });
  });
  afterAll(async () => {
    for (const page of pages) await page.happyDOM.close();
  });

  /** Opens the page of a person. Its script gets the page's names as arguments, so this process keeps its own. */
  async function open({ url, space, join }: Place, userId: string) {
    const hash = new URLSearchParams({ url, space, token: await join(userId) });
    const page = new Window({ url: `http://localhost:5173/#${hash}` });
    pages.push(page);
    page.document.body.innerHTML = '<div id="root"></div>';
    const { document, location, navigator, FormData } = page;
    const names = { window: page, document, location, navigator, FormData };
    new Function(...Object.keys(names), script)(...Object.values(names));
    return {
      text: () => document.body.textContent,
      click: (label: string) => {
        const buttons = [...document.querySelectorAll('button')] as HTMLButtonElement[];
        const button = buttons.find(({ textContent }) => textContent === label);
        if (button === undefined) throw new Error(`no button "${label}" in: ${document.body.textContent}`);
        button.click();
      },
      say: (text: string) => {
        (document.querySelector('input') as HTMLInputElement).value = text;
        (document.querySelector('form') as HTMLFormElement).dispatchEvent(
          // requestSubmit() of happy-dom names the form as its own button.
          new page.SubmitEvent('submit', { bubbles: true, cancelable: true }) as never,
        );
      },
    };
  }

  it('shows two people the same objects and messages', async () => {
    const place = await makePlace(apiUrl);
    const [ann, bob] = [await open(place, 'ann'), await open(place, 'bob')];
    for (const page of [ann, bob]) {
      await expect.poll(page.text).toContain('live');
      await expect.poll(page.text).toContain('Here: ann, bob');
    }
    ann.click('Add a chair');
    await expect.poll(bob.text).toContain('Chair is at 0 m');
    bob.click('Move Chair');
    await expect.poll(ann.text).toContain('Chair is at 1 m');
    ann.say('Hello');
    await expect.poll(bob.text).toContain('ann: Hello');
  });
});

describe('the example of a Worker', () => {
  /** Runs a bundled Worker in workerd. */
  async function start(contents: string, changes: Record<string, string>): Promise<Miniflare> {
    const env = Object.entries(makeEnv(changes)).map(([name, value]) => [
      name,
      { type: 'text' as const, value },
    ]);
    return new Miniflare({
      host: '127.0.0.1',
      port: 0,
      workers: [
        {
          config: {
            name: 'my-game',
            ...(await readCompatibility(join(EXAMPLES, 'workers/wrangler.toml'))),
            manifest: { mainModule: 'worker.js', modules: { 'worker.js': { type: 'esm', contents } } },
            env: Object.fromEntries(env),
          },
        },
      ],
    });
  }
  const FOR_WORKERD: BuildOptions = {
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd'],
    external: ['node:*', 'cloudflare:*'],
  };

  it('serves its own routes, and worldkeep next to them', async () => {
    const contents = await bundle({ ...FOR_WORKERD, entryPoints: [join(EXAMPLES, 'workers/worker.js')] });
    const key = await (await makeTenant()).apiKey(['read', 'write']);
    const miniflare = await start(contents, { WORLDKEEP_API_KEY: key, SPACE: 'main' });
    try {
      const url = String(await miniflare.ready).replace(/\/$/, '');
      const { call } = await makePlace(url, key);
      await call('PUT', '/v1/spaces/main', { name: 'Main' });
      expect(await (await fetch(`${url}/hello`)).text()).toBe('This is your own route.');
      const ticket = await fetch(`${url}/ticket/ann`, { method: 'POST' });
      const { token } = (await ticket.json()) as { token: string };
      const world = connect({ url, space: 'main', token });
      await world.ready;
      await world.put('chair').reached('committed');
      expect(world.userId).toBe('ann');
      expect(await world.close()).toBe(0);
    } finally {
      await miniflare.dispose();
    }
  });

  it('cannot be led to another route by the name of a player', async () => {
    const contents = await bundle({ ...FOR_WORKERD, entryPoints: [join(EXAMPLES, 'workers/worker.js')] });
    const key = await (await makeTenant()).apiKey(['read', 'write']);
    const miniflare = await start(contents, { WORLDKEEP_API_KEY: key, SPACE: 'main' });
    try {
      const url = String(await miniflare.ready).replace(/\/$/, '');
      const ticket = await fetch(`${url}/ticket/..%2Fspaces%2Fmain`, { method: 'POST' });
      expect(ticket.status).toBe(422);
      expect(await ticket.json()).toMatchObject({ instance: '/v1/users/..%2Fspaces%2Fmain' });
    } finally {
      await miniflare.dispose();
    }
  });

  it('can also mount worldkeep below a path', async () => {
    const contents = await bundle({
      ...FOR_WORKERD,
      stdin: {
        contents: `
          import { Hono } from 'hono';
          import worldkeep from 'worldkeep/worker';
          export default new Hono().mount('/worlds', worldkeep.fetch);
        `,
        resolveDir: EXAMPLES,
      },
    });
    const miniflare = await start(contents, {});
    try {
      const { url, space, key, call } = await makePlace(new URL('worlds', await miniflare.ready).href);
      const world = connect({ url, space, token: key });
      await world.ready;
      await world.put('chair').reached('committed');
      expect(await world.close()).toBe(0);
      expect(await call('GET', `/v1/spaces/${space}/state`)).toMatchObject({ objects: [{ id: 'chair' }] });
    } finally {
      await miniflare.dispose();
    }
  });
});

describe('the Colyseus example', () => {
  it('a room that starts again has the world of the room before', async () => {
    const { Server } = await import('@colyseus/core');
    const { WebSocketTransport } = await import('@colyseus/ws-transport');
    const { Client } = await import('@colyseus/sdk');
    const { BoardRoom } = await import(join(EXAMPLES, 'colyseus/room.js'));
    const place = await makePlace(apiUrl);
    const http = createServer();
    const server = new Server({
      transport: new WebSocketTransport({ server: http }),
      greet: false,
      gracefullyShutdown: false,
    });
    const worldkeep = { url: place.url, token: place.key };
    server.define('board', BoardRoom, { worldkeep, space: place.space });
    try {
      await server.listen(0, '127.0.0.1');
      const client = new Client(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
      // A client cannot choose the space or the server.
      const play = () =>
        client.joinOrCreate('board', { name: 'ann', space: 'other', worldkeep: { url: 'http://other' } });
      type State = { pieces: Map<string, { x: number; z: number }> };
      const readPiece = (room: { state: unknown }) => (room.state as State).pieces?.get('ann');
      const readPositions = async () => {
        const { objects } = await place.call<{ objects: { position: object }[] }>(
          'GET',
          `/v1/spaces/${place.space}/state`,
        );
        return objects.map(({ position }) => position);
      };

      const first = await play();
      await expect.poll(() => readPiece(first)?.x).toBe(0);
      // The room refuses moves that are too far, or not numbers.
      first.send('move', { id: 'ann', x: 9, z: 9 });
      first.send('move', { id: 'ann', x: 'far', z: 0 });
      first.send('move', { id: 'ann', x: '0.25', z: 0 });
      first.send('move', { id: ['ann'], x: 0.25, z: 0 });
      first.send('move', { id: 'ann' });
      first.send('move');
      first.send('move', { id: 'ann', x: 0.5, z: 0.5 });
      await expect.poll(() => readPiece(first)?.x).toBe(0.5);
      await first.leave();
      await expect.poll(readPositions).toEqual([{ x: 0.5, y: 0, z: 0.5 }]);

      const second = await play();
      expect(second.roomId).not.toBe(first.roomId);
      await expect.poll(() => readPiece(second)?.x).toBe(0.5);
      await second.leave();
      await expect(client.joinOrCreate('board', { name: { toString: 1 } })).rejects.toThrow('onAuth failed');
      await expect(client.joinOrCreate('board')).rejects.toThrow('onAuth failed');
    } finally {
      await server.gracefullyShutdown(false);
    }
  });
});
