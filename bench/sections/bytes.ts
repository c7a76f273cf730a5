import { type Bench, repeat } from '../harness/bench.ts';
import { requireAll } from '../harness/load.ts';
import { type Figure, format } from '../harness/report.ts';
import { withLoad, withSpace, withWorker } from '../harness/setting.ts';

const BYTES_MAX = 620;
/** The size of a world for which the bytes have a limit. */
const LARGE = 10_000;

interface Measured {
  postgres: number;
  redis: number;
}

/** The bytes of each object after many moves: rows, dead rows and indexes, and in Redis the log's replay window. */
export async function measureBytes(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  const { updates } = bench.sizes.bytes;
  const section = `bytes, after ${format(updates)} updates`;
  const unit = 'bytes an object';
  for (const objects of bench.sizes.bytes.objects) {
    const world = `${format(objects)} objects`;
    const measure = (isFast: boolean) =>
      repeat(bench, `bytes, ${world}${isFast ? ', fast' : ''}`, (seed) =>
        measureOnce(bench, objects, seed, isFast),
      );
    const [slow, fast] = [await measure(false), await measure(true)];
    figures.push(
      {
        section,
        unit,
        what: `Postgres, ${world}`,
        measure: unit,
        values: slow.map(({ postgres }) => postgres),
        ...(objects === LARGE && { due: { atMost: BYTES_MAX } }),
        note: 'world_objects with its indexes, immediately after the last commit',
      },
      {
        section,
        unit: 'times that of small steps',
        what: `Postgres, ${world}, moves of over 32 m`,
        values: fast.map(({ postgres }, i) => postgres / (slow[i]?.postgres ?? Number.NaN)),
        due: { atMost: 1.5 },
      },
      {
        section,
        unit,
        what: `Redis, ${world}`,
        values: slow.map(({ redis }) => redis),
        note: 'all keys of the space immediately after the last commit: mostly the replay window, which expires after a minute',
      },
    );
  }
  return figures;
}

/** With separate stores, because rows of other worlds in the table would count. */
function measureOnce(bench: Bench, objects: number, seed: number, isFast: boolean): Promise<Measured> {
  const { opsPerRequest, connections } = bench.sizes;
  const { updates, updatesPerSecond } = bench.sizes.bytes;
  return withWorker(bench, {}, (setting) =>
    withSpace(setting, objects, (inSpace) =>
      withLoad(inSpace, { opsPerRequest, seed, isFast }, async (load) => {
        const sent = await load.run({
          connections,
          seconds: null,
          requests: Math.ceil(updates / opsPerRequest),
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
