import { askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { type Figure, format } from '../harness/report.ts';
import { type SpaceSetting, withSpace, withWorker } from '../harness/setting.ts';
import { percentile } from '../harness/statistics.ts';

const EMPTY = 'a small tenant';

interface Measured {
  p50: number;
  bytes: number;
}

/** Reads a state that references a few models, in a tenant with none besides and in one with very many. */
export async function measureLibrary(bench: Bench): Promise<Figure[]> {
  const { models } = bench.sizes.library;
  const [few, many] = [await measureTenant(bench, 0), await measureTenant(bench, models)];
  const section = `state of a tenant with ${format(models)} models`;
  const list = (what: string, unit: string, read: (run: Measured) => number): Figure[] => [
    { section, what, unit, values: many.map(read), measure: `ms ${what} of a state` },
    {
      section,
      what: `${what}, ${EMPTY}`,
      unit,
      values: few.map(read),
      measure: `ms ${what} of a state`,
      baseline: EMPTY,
    },
  ];
  return [...list('p50', 'ms', ({ p50 }) => p50), ...list('bytes', 'bytes', ({ bytes }) => bytes)];
}

function measureTenant(bench: Bench, models: number): Promise<Measured[]> {
  const { references, reads } = bench.sizes.library;
  return withWorker(bench, {}, (setting) =>
    withSpace(setting, bench.sizes.hotObjects, async (inSpace) => {
      await addModels(inSpace, models, references);
      return repeat(bench, `state, ${format(models)} models`, async () => {
        const { worker, space } = inSpace;
        const asker = await openAsker({ url: worker.url, headers: space.headers });
        try {
          const asks = Array.from({ length: reads }, () => ({ method: 'GET', path: `${space.path}/state` }));
          const answers = await askAll(asker, { asks, connections: 1, requestsPerSecond: null });
          const ms = answers.map((answer) => answer.ms);
          return { p50: percentile(ms, 50), bytes: answers[0]?.bytes ?? 0 };
        } finally {
          await asker.close();
        }
      });
    }),
  );
}

/** Adds models to the tenant, and as many objects as reference one. */
async function addModels(
  { watch, worker, space }: SpaceSetting,
  models: number,
  references: number,
): Promise<void> {
  await watch.postgres.query(
    `insert into uploaded_models (tenant_id, model_id, name, url)
     select $1, 'model-' || n, 'Model ' || n, 'https://models.example/' || n || '.glb' from generate_series(1, $2::integer) n
     on conflict do nothing`,
    [space.address.tenantId, Math.max(models, references)],
  );
  const ops = Array.from({ length: references }, (_, n) => ({
    op: 'put',
    id: `shown-${n}`,
    modelId: `model-${n + 1}`,
  }));
  const answer = await fetch(`${worker.url}${space.path}/updates`, {
    method: 'POST',
    headers: { ...space.headers, 'Content-Type': 'application/json', Prefer: 'wait' },
    body: JSON.stringify({ ops }),
  });
  await answer.body?.cancel();
  if (answer.status !== 200) throw new Error(`the objects were answered ${answer.status}`);
}
