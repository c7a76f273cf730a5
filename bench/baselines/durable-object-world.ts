import { join } from 'node:path';
import { nameObject, placeObject } from '../harness/operations.ts';
import { startWorkerd, type Workerd } from '../harness/workerd.ts';

export const DURABLE_OBJECT = 'a Durable Object';
const OBJECTS_PER_REQUEST = 1_000;

/** One Durable Object with SQLite, in workerd, with a world in it; without authentication and validation. */
export async function startDurableWorld(objects: number): Promise<Workerd> {
  const worker = await startWorkerd({
    modulePath: join(import.meta.dirname, 'durable-object-world.js'),
    durableObjectClass: 'World',
    readyPath: '/',
    buildVariables: () => ({}),
  });
  try {
    for (let from = 0; from < objects; from += OBJECTS_PER_REQUEST) {
      const length = Math.min(OBJECTS_PER_REQUEST, objects - from);
      const ops = Array.from({ length }, (_, i) => ({
        id: nameObject(from + i),
        name: `Object ${from + i}`,
        modelId: 'crate',
        position: placeObject(from + i, objects),
        scale: { x: 1, y: 1, z: 1 },
        properties: { colour: (from + i) % 16 },
      }));
      const answer = await fetch(worker.url, { method: 'POST', body: JSON.stringify({ ops }) });
      if (answer.status !== 202) throw new Error(`the Durable Object answered ${answer.status}`);
      await answer.body?.cancel();
    }
    return worker;
  } catch (error) {
    await worker.stop();
    throw error;
  }
}
