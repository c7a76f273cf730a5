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
    let accepted = 0;
    storage.transactionSync(() => {
      for (const op of ops) {
        if (op.op === 'move') {
          for (const [i, id] of op.ids.entries())
            storage.sql.exec(
              UPSERT,
              id,
              ...op.position.slice(i * 3, i * 3 + 3),
              ...op.rotation.slice(i * 4, i * 4 + 4),
            );
          accepted += op.ids.length;
          continue;
        }
        const { id, position: p, rotation: r } = op;
        storage.sql.exec(UPSERT, id, p.x, p.y, p.z, r.x, r.y, r.z, r.w);
        accepted++;
      }
    });
    return Response.json({ accepted }, { status: 202 });
  }
}

export default {
  fetch: (request, env) => env.World.get(env.World.idFromName('main')).fetch(request),
};
