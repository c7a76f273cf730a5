import { type Bench, repeat } from '../harness/bench.ts';
import { requireAll } from '../harness/load.ts';
import { type Figure, format } from '../harness/report.ts';
import { withLoad, withSpace, withWorker } from '../harness/setting.ts';

const BYTES_MAX = 450;

interface Measured {
  postgres: number;
  redis: number;
}

/** What is kept of each object after many moves: rows, dead rows, indexes; and in Redis the log's replay window. */
export async function measureBytes(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const objects of bench.sizes.bytes.objects) {
    const { updates } = bench.sizes.bytes;
    const taken = await repeat(bench, `bytes, ${format(objects)} objects`, (seed) =>
      measureOnce(bench, objects, seed),
    );
    const section = `bytes, after ${format(updates)} updates`;
    const unit = 'bytes an object';
    figures.push(
      {
        ...{ section, unit, what: `Postgres, ${format(objects)} objects`, measure: unit },
        values: taken.map(({ postgres }) => postgres),
        due: { atMost: BYTES_MAX },
        note: 'world_objects with its indexes, at once after the last commit',
      },
      {
        ...{ section, unit, what: `Redis, ${format(objects)} objects` },
        values: taken.map(({ redis }) => redis),
        note: 'all keys of the space at once after the last commit: mostly the replay window, which goes after a minute',
      },
    );
  }
  return figures;
}

/** With stores of its own: what other worlds have left in the table would count. */
function measureOnce(bench: Bench, objects: number, seed: number): Promise<Measured> {
  const { opsPerRequest, connections } = bench.sizes;
  const { updates, updatesPerSecond } = bench.sizes.bytes;
  return withWorker(bench, {}, (setting) =>
    withSpace(setting, objects, (inSpace) =>
      withLoad(inSpace, { opsPerRequest, seed }, async (load) => {
        const sent = await load.run({
          ...{ connections, seconds: null, requests: Math.ceil(updates / opsPerRequest) },
          requestsPerSecond: updatesPerSecond / opsPerRequest,
        });
        requireAll(sent, 202);
        const { watch } = inSpace;
        await watch.waitUntilDrained();
        const { rows } = await watch.postgres.query<{ bytes: string; objects: string }>(
          `select pg_total_relation_size('world_objects') as bytes,
             (select count(*) from world_objects join spaces using (world) where tenant_id = $1) as objects`,
          [inSpace.space.address.tenantId],
        );
        if (Number(rows[0]?.objects) !== objects) throw new Error(`${rows[0]?.objects} objects are there`);
        return {
          postgres: Number(rows[0]?.bytes) / objects,
          redis: (await watch.measureRedisBytes()) / objects,
        };
      }),
    ),
  );
}
