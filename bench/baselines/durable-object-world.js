import { DurableObject } from 'cloudflare:workers';

const UPSERT = `INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  position = coalesce(excluded.position, position), properties = coalesce(excluded.properties, properties), seq = excluded.seq`;
const encoder = new TextEncoder();

/** A world in one Durable Object: a row an object, its whole state as JSON, and what changes to all who follow it. */
export class World extends DurableObject {
  #followers = new Set();
  #seq = 0;

  constructor(state, env) {
    super(state, env);
    state.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS objects (id TEXT PRIMARY KEY, name TEXT, model TEXT, position TEXT, scale TEXT, properties TEXT, seq INTEGER)',
    );
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/stream') return this.#follow();
    if (pathname === '/state') return this.#readState();
    return request.method === 'POST' ? this.#write(await request.json()) : new Response('ready');
  }

  async #write({ ops }) {
    const { storage } = this.ctx;
    const seq = ++this.#seq;
    storage.transactionSync(() => {
      for (const { id, name, modelId, position, scale, properties } of ops)
        storage.sql.exec(
          UPSERT,
          ...[id, name ?? null, modelId ?? null, position ? JSON.stringify(position) : null],
          ...[scale ? JSON.stringify(scale) : null, properties ? JSON.stringify(properties) : null, seq],
        );
    });
    // Nobody is told of what could still be lost.
    await storage.sync();
    const event = encoder.encode(
      `event: change\nid: ${seq}\ndata: ${JSON.stringify({ seq, prev: seq - 1, ops })}\n\n`,
    );
    for (const controller of this.#followers) controller.enqueue(event);
    return Response.json({ seq }, { status: 202 });
  }

  #readState() {
    const objects = [];
    for (const row of this.ctx.storage.sql.exec('SELECT * FROM objects ORDER BY id')) {
      const { position, scale, properties, ...rest } = row;
      objects.push({
        ...rest,
        position: JSON.parse(position),
        scale: JSON.parse(scale),
        properties: JSON.parse(properties),
      });
    }
    return Response.json({ seq: this.#seq, objects });
  }

  #follow() {
    const followers = this.#followers;
    let own;
    const body = new ReadableStream({
      start(controller) {
        own = controller;
        followers.add(own);
        controller.enqueue(encoder.encode('retry: 1000\n\n'));
      },
      cancel: () => followers.delete(own),
    });
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
  }
}

export default {
  fetch: (request, env) => env.World.get(env.World.idFromName('main')).fetch(request),
};
