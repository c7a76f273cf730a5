/** One measurement, in a separate process: reads BENCH_TASK, prints a Measured as JSON. */
import { eq } from 'drizzle-orm';
import pg from 'pg';
import { DirectLog } from '../src/log/direct-log.ts';
import { PersistenceLayer } from '../src/persistence-layer.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { spaces, worldObjects } from '../src/postgres/schema/spaces.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';

export interface Task {
  name: 'save' | 'load' | 'raw load' | 'one by one';
  objects: number;
}

export interface Measured {
  ms: number;
  /** The highest resident memory, minus the memory before. */
  peakMiB: number;
  statements: number;
}

const { BENCH_TASK = '', DATABASE_URL: databaseUrl = '', DATABASE_HTTP_URL: fetchEndpoint } = process.env;
const task = JSON.parse(BENCH_TASK) as Task;
let statements = 0;
const postgres = openNeon({
  databaseUrl,
  fetchEndpoint,
  timeoutMs: 120_000,
  onTransaction: (count) => {
    statements += count;
  },
});
const tenantId = `bench-${task.objects}`;
const spaceId = 'main';
const log = new DirectLog(createDrainStore(postgres), Date.now);
const layer = new PersistenceLayer(createWorldStore(postgres), log, { tenantId, spaceId, actor: 'bench' });

function makeObjects(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    id: `object-${i}`,
    name: `Object ${i}`,
    parentId: i === 0 ? null : `object-${i >> 3}`,
    position: { x: Math.sin(i) * 100, y: i / 7, z: Math.cos(i) * 100 },
    rotation: { x: 0, y: Math.sin(i / 2), z: 0, w: Math.cos(i / 2) },
    scale: { x: 1, y: 1, z: 1 },
    properties: { kind: 'cube', colour: i % 16, tags: ['a', 'b'] },
  }));
}

/** Reads every row over TCP with one SELECT, and does not use the rows. */
async function loadRaw(): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
  const startedAt = performance.now();
  const { rowCount } = await client.query(
    'select o.* from world_objects o join spaces s using (world) where s.tenant_id = $1',
    [tenantId],
  );
  measured = performance.now() - startedAt;
  if (rowCount !== task.objects) throw new Error(`${rowCount} rows are there, not ${task.objects}`);
  await client.query('commit');
  await client.end();
}

/** The work of a server without batches: one upsert per object, each in its own request. */
async function saveOneByOne(objects: ReturnType<typeof makeObjects>): Promise<void> {
  const other = `${tenantId}-single`;
  await new PersistenceLayer(createWorldStore(postgres), log, { tenantId: other, spaceId }).connect();
  const [found] = await postgres.inTenant(other, (db) => [db.select({ world: spaces.world }).from(spaces)]);
  const world = found[0]?.world ?? '';
  const startedAt = performance.now();
  statements = 0;
  for (const { id, name, parentId, position, rotation, scale, properties } of objects) {
    const values = {
      seq: 1,
      createdSeq: 1,
      name,
      parentId,
      properties,
      positionX: position.x,
      positionY: position.y,
      positionZ: position.z,
      rotationX: rotation.x,
      rotationY: rotation.y,
      rotationZ: rotation.z,
      rotationW: rotation.w,
      scaleX: scale.x,
      scaleY: scale.y,
      scaleZ: scale.z,
    };
    await postgres.inTenant(other, (db) => [
      db
        .insert(worldObjects)
        .values({ world, objectId: id, ...values })
        .onConflictDoUpdate({
          target: [worldObjects.world, worldObjects.objectId],
          set: values,
        }),
    ]);
  }
  measured = performance.now() - startedAt;
  await postgres.inTenant(other, (db) => [db.delete(worldObjects).where(eq(worldObjects.world, world))]);
}

let measured = 0;
await layer.connect();
const objects = task.name === 'save' || task.name === 'one by one' ? makeObjects(task.objects) : [];
const before = process.memoryUsage.rss();
statements = 0;
if (task.name === 'save') {
  const startedAt = performance.now();
  await layer.saveWorldState({ objects });
  measured = performance.now() - startedAt;
} else if (task.name === 'load') {
  const startedAt = performance.now();
  const state = await layer.loadWorldState();
  measured = performance.now() - startedAt;
  if (state.objects.length !== task.objects) throw new Error(`${state.objects.length} objects were loaded`);
} else if (task.name === 'raw load') {
  await loadRaw();
  statements = 1;
} else {
  await saveOneByOne(objects);
  statements -= 2;
}
const peakMiB = process.resourceUsage().maxRSS / 1024 - before / 2 ** 20;
console.log(JSON.stringify({ ms: measured, peakMiB, statements } satisfies Measured));
await postgres.close();
