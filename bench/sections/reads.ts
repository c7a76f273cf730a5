import { askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { listCommands } from '../harness/redis-commands.ts';
import type { Figure } from '../harness/report.ts';
import { withSpace, withWorker } from '../harness/setting.ts';

/** Reads before the count, so that a lease already has the right size for the rate. */
const WARM_UP_SECONDS = 2;
const STALE = { 'Cache-Control': 'max-stale=60' };

/** Redis commands for each read of a state, by the rate of reads. One process, with the default limits. */
export async function measureReads(bench: Bench): Promise<Figure[]> {
  const { rates, seconds } = bench.sizes.reads;
  const limits = { RATE_LIMIT_REQUESTS_PER_MINUTE: '12000' };
  const taken = await withWorker(bench, limits, (setting) =>
    withSpace(setting, bench.sizes.hotObjects, ({ worker, space, watch }) =>
      repeat(bench, 'reads', async () => {
        const figures: [what: string, commands: number][] = [];
        const asker = await openAsker({ url: worker.url, headers: space.headers });
        try {
          for (const headers of [{}, STALE]) {
            for (const perSecond of rates) {
              const read = async (forSeconds: number) => {
                const reads = Math.ceil(forSeconds * perSecond);
                const asks = Array.from({ length: reads }, () => ({
                  method: 'GET',
                  path: `${space.path}/state`,
                  headers,
                }));
                await askAll(asker, { asks, connections: 4, requestsPerSecond: perSecond });
                return reads;
              };
              await read(WARM_UP_SECONDS);
              let reads = 0;
              const commands = await listCommands(watch.redis, async () => {
                reads = await read(seconds);
              });
              const accepts = headers === STALE ? ', accepting an older state' : '';
              figures.push([`${perSecond} reads/s${accepts}`, commands.length / reads]);
            }
          }
        } finally {
          await asker.close();
        }
        return figures;
      }),
    ),
  );
  return (taken[0] ?? []).map(([what], i) => ({
    section: 'reads, with limits on',
    what,
    unit: 'Redis commands a read',
    values: taken.map((run) => run[i]?.[1] ?? Number.NaN),
  }));
}
