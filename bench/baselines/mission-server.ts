/**
 * A Node server with a write queue in its own memory. It answers as soon as an update is in the queue. It writes the
 * queue to Postgres every 100 ms, or at 100 items. Reads BENCH_MISSION; tells its port to its parent.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Redis } from 'ioredis';
import pg from 'pg';
import { MISSION_NAME, MISSION_SPACE, MISSION_TABLE, type MissionTask } from './mission-table.ts';

const FLUSH_MS = 100;
const FLUSH_ITEMS = 100;
const POOL_SIZE = 20;

interface ObjectUpdate {
  objectId: string;
  position: object;
  rotation: object;
  updatedBy: string;
}

const { databaseUrl, redisUrl, flush: form } = JSON.parse(process.env.BENCH_MISSION ?? '') as MissionTask;
const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE, application_name: MISSION_NAME });
const redis = new Redis(redisUrl);

const SET = `update ${MISSION_TABLE} set position = $1, rotation = $2, updated_by = $3, updated_at = now()
  where object_id = $4 and space_id = '${MISSION_SPACE}'`;
const SET_ALL = `update ${MISSION_TABLE} o set position = u.position::jsonb, rotation = u.rotation::jsonb,
    updated_by = u.updated_by, updated_at = now()
  from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as u (object_id, position, rotation, updated_by)
  where o.object_id = u.object_id and o.space_id = '${MISSION_SPACE}'`;

let queue: ObjectUpdate[] = [];
let processed = 0;
let isFlushing = false;

function add(update: ObjectUpdate): void {
  queue.push(update);
  if (queue.length >= FLUSH_ITEMS) void flush();
}

/** One at a time, so that an older update never comes after a newer one. */
async function flush(): Promise<void> {
  if (isFlushing) return;
  isFlushing = true;
  try {
    while (queue.length > 0) {
      const items = queue.slice(0, FLUSH_ITEMS);
      queue = queue.slice(items.length);
      await write(items);
      // The cached world is stale now. Deletes it and tells the other servers.
      await redis
        .pipeline()
        .del(`world:${MISSION_SPACE}`)
        .publish(`updates:${MISSION_SPACE}`, JSON.stringify(items))
        .exec();
      processed += items.length;
    }
  } finally {
    isFlushing = false;
  }
}

async function write(items: readonly ObjectUpdate[]): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    if (form === 'one by one')
      for (const { position, rotation, updatedBy, objectId } of items)
        await client.query(SET, [JSON.stringify(position), JSON.stringify(rotation), updatedBy, objectId]);
    else {
      // One statement can update a row only once: keep the last item of each object.
      const last = [...new Map(items.map((item) => [item.objectId, item])).values()];
      await client.query(SET_ALL, [
        last.map(({ objectId }) => objectId),
        last.map(({ position }) => JSON.stringify(position)),
        last.map(({ rotation }) => JSON.stringify(rotation)),
        last.map(({ updatedBy }) => updatedBy),
      ]);
    }
    await client.query('commit');
  } finally {
    client.release();
  }
}

const server = createServer(async (request, response) => {
  if (request.method === 'GET') return response.end(JSON.stringify({ processed, queued: queue.length }));
  const { ops } = JSON.parse(await text(request)) as {
    ops: { id: string; position: object; rotation: object }[];
  };
  for (const { id, position, rotation } of ops)
    add({ objectId: id, position, rotation, updatedBy: 'user-456' });
  response.writeHead(202, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ accepted: ops.length }));
});

setInterval(() => void flush(), FLUSH_MS);
process.once('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
