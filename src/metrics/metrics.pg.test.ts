import { afterAll, describe, expect, it } from 'vitest';
import { DATABASES } from '../../test/layers.ts';
import { uniqueName } from '../../test/support.ts';
import { createPostgresCounters, createPostgresGauges } from '../postgres/metrics-store.ts';

describe.each(Object.entries(DATABASES))('metrics in Postgres: %s', (_, open) => {
  const postgres = open();
  afterAll(() => postgres.close());
  const counters = createPostgresCounters(postgres);

  it('[G2] counts add up over processes, and a repeated flush adds nothing', async () => {
    const [a, b] = [uniqueName('field'), uniqueName('field')];
    const read = async () => {
      const counts = await counters.read();
      return [counts.get(a), counts.get(b)];
    };
    await counters.add(uniqueName('flush'), new Map([[a, 2]]));
    const token = uniqueName('flush');
    const counts = new Map([
      [b, 5],
      [a, 1],
    ]);
    await counters.add(token, counts);
    await counters.add(token, counts);
    expect(await read()).toEqual([3, 5]);
  });

  it('[G5] gauges show dead letters, incidents, waiting requests and files of all tenants', async () => {
    const gauges = await createPostgresGauges(postgres).readGauges();
    const names = gauges.map(({ name, labels }) => [name, ...labels].join(' '));
    expect(names).toEqual(
      expect.arrayContaining([
        'worldkeep_dead_letters',
        'worldkeep_incidents log_lost',
        'worldkeep_incidents reader_ahead',
        'worldkeep_spilled_requests',
        'worldkeep_asset_bytes',
      ]),
    );
    expect(gauges.every(({ value }) => Number.isFinite(value) && value >= 0)).toBe(true);
  });
});
