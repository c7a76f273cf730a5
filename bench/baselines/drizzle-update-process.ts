/** Sends one Drizzle UPDATE per object, each in its own request, with the client of the functions. Reads BENCH_UPDATES. */
import { and, eq } from 'drizzle-orm';
import { openNeon } from '../../src/postgres/neon.ts';
import { spaces, worldObjects } from '../../src/postgres/schema/spaces.ts';
import { createRandom, nameObject, placeObject } from '../harness/operations.ts';
import type { UpdatePhase, UpdateResult, UpdateTask } from './drizzle-update.ts';

const TIMEOUT_MS = 60_000;

const { databaseUrl, databaseHttpUrl, tenantId, spaceId, objects } = JSON.parse(
  process.env.BENCH_UPDATES ?? '',
) as UpdateTask;
const postgres = openNeon({ databaseUrl, fetchEndpoint: databaseHttpUrl, timeoutMs: TIMEOUT_MS });
const random = createRandom(1);
let next = 0;

async function update(): Promise<void> {
  const i = next++ % objects;
  const { x, z } = placeObject(i, objects);
  const heading = random() * Math.PI;
  await postgres.inTenant(tenantId, (db) => [
    db
      .update(worldObjects)
      .set({
        positionX: x + random(),
        positionZ: z + random(),
        seq: Date.now() * 1_000,
        rotationY: Math.sin(heading),
        rotationW: Math.cos(heading),
      })
      .where(and(eq(worldObjects.world, world), eq(worldObjects.objectId, nameObject(i)))),
  ]);
}

async function run({ updates, concurrency }: UpdatePhase): Promise<UpdateResult> {
  let begun = 0;
  const startedAt = performance.now();
  const work = async () => {
    while (begun++ < updates) await update();
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { seconds: (performance.now() - startedAt) / 1_000 };
}

const [found] = await postgres.inTenant(tenantId, (db) => [
  db.select({ world: spaces.world }).from(spaces).where(eq(spaces.spaceId, spaceId)),
]);
const world = found[0]?.world ?? '';
process.on('message', (phase: UpdatePhase) => {
  run(phase).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit(0));
process.send?.('ready');
