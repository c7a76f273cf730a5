import { describe, expect, it } from 'vitest';
import { LIMITS } from '../world/limits.ts';
import { Analytics, type AnalyticsStore } from './analytics.ts';
import type { Span } from './reports.ts';

const NOW = Date.parse('2026-11-28T23:59:59.999Z');

/** Analytics on a store with so many rows, and the spans that were asked for. */
function open(rowCount = 0) {
  const asked: (Span & { limit: number })[] = [];
  const rows = Array.from({ length: rowCount }, (_, i) => ({ modelId: `m${i}` }));
  const store = {
    readReport: async (_tenantId: string, _name: string, span: Span, limit: number) => {
      asked.push({ ...span, limit });
      return { refreshedAt: null, rows: rows.slice(0, limit) };
    },
  } as unknown as AnalyticsStore;
  return { asked, analytics: new Analytics(store, { now: () => NOW }) };
}

describe('a span of days', () => {
  it.each([
    [{}, '2026-10-30', '2026-11-28'],
    [{ from: '2026-11-28' }, '2026-11-28', '2026-11-28'],
    [{ to: '2026-03-01' }, '2026-01-31', '2026-03-01'],
    [{ from: '2024-02-29', to: '2024-02-29' }, '2024-02-29', '2024-02-29'],
    // The longest.
    [{ from: '2025-01-01', to: '2026-02-04' }, '2025-01-01', '2026-02-04'],
  ])('[N3a] %j', async (given, from, to) => {
    const { analytics, asked } = open();
    expect(await analytics.read('t', 'models', given)).toMatchObject({ from, to, rows: [] });
    expect(asked).toEqual([{ from, to, limit: LIMITS.analyticsRowsMax + 1 }]);
  });

  it.each([
    [{ from: '2026-11-29' }, '/from'],
    [{ from: '2026-11-02', to: '2026-11-01' }, '/from'],
    [{ from: '2024-12-31', to: '2026-02-04' }, '/from'],
    [{ from: '2026-02-30' }, '/from'],
    [{ from: 'yesterday' }, '/from'],
    [{ from: '' }, '/from'],
    [{ from: '2026-11-01T00:00:00Z' }, '/from'],
    [{ to: '0000-01-01' }, '/to'],
    [{ to: '2026-13-01' }, '/to'],
    [{ to: '-999999-01' }, '/to'],
  ])('[N3b] %j is refused', async (given, path) => {
    const { analytics, asked } = open();
    await expect(analytics.read('t', 'models', given)).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [{ path }],
    });
    expect(asked).toEqual([]);
  });

  it('[N3b] with two errors names both', async () => {
    await expect(open().analytics.read('t', 'models', { from: 'a', to: 'b' })).rejects.toMatchObject({
      errors: [{ path: '/to' }, { path: '/from' }],
    });
  });
});

it('[N3c] a report has at most 10,000 rows, and says if there are more', async () => {
  const { analytics } = open(LIMITS.analyticsRowsMax);
  expect((await analytics.read('t', 'models')).truncated).toBe(false);
  const more = await open(LIMITS.analyticsRowsMax + 1).analytics.read('t', 'models');
  expect([more.truncated, more.rows.length]).toEqual([true, 10_000]);
});
