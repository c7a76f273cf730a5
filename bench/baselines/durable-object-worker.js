import { DurableObject } from 'cloudflare:workers';

const UPSERT = `INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  px = excluded.px, py = excluded.py, pz = excluded.pz,
  rx = excluded.rx, ry = excluded.ry, rz = excluded.rz, rw = excluded.rw`;

/** A world in one Durable Object, a row an object. The runtime holds each answer back until what was written is durable. */
export class World extends DurableObject {
  constructor(state, env) {
    super(state, env);
    state.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS objects (id TEXT PRIMARY KEY, px REAL, py REAL, pz REAL, rx REAL, ry REAL, rz REAL, rw REAL)',
    );
  }

  async fetch(request) {
    const { storage } = this.ctx;
    if (request.method === 'GET') {
      const { rows } = storage.sql.exec('SELECT count(*) AS rows FROM objects').one();
      return Response.json({ rows });
    }
    const { ops } = await request.json();
    storage.transactionSync(() => {
      for (const { id, position: p, rotation: r } of ops)
        storage.sql.exec(UPSERT, id, p.x, p.y, p.z, r.x, r.y, r.z, r.w);
    });
    return Response.json({ accepted: ops.length }, { status: 202 });
  }
}

export default {
  fetch: (request, env) => env.World.get(env.World.idFromName('main')).fetch(request),
};
