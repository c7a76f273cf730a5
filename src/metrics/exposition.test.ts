import { expect, it } from 'vitest';
import { printMetrics } from './exposition.ts';
import { FAMILIES, type Family } from './families.ts';
import { readField } from './fields.ts';

const linesOf = (text: string, name: string) => text.split('\n').filter((line) => line.includes(name));

it('[G4] a histogram has cumulative buckets, a sum in seconds and a count', () => {
  const labels = 'GET|/v1/spaces/:space';
  const counts = new Map([
    [`worldkeep_http_request_seconds|${labels}|0.005`, 2],
    [`worldkeep_http_request_seconds|${labels}|0.1`, 3],
    [`worldkeep_http_request_seconds|${labels}|Infinity`, 1],
    [`worldkeep_http_request_seconds|${labels}|sum`, 12_250_000],
  ]);
  const text = printMetrics(counts, []);
  const own = 'method="GET",route="/v1/spaces/:space"';
  const found = linesOf(text, own).map((line) => line.replace('worldkeep_http_request_seconds', ''));
  expect(found[0]).toBe(`_bucket{${own},le="0.005"} 2`);
  expect(found).toContain(`_bucket{${own},le="0.05"} 2`);
  expect(found).toContain(`_bucket{${own},le="0.1"} 5`);
  expect(found).toContain(`_bucket{${own},le="10"} 5`);
  expect(found.slice(-3)).toEqual([`_bucket{${own},le="+Inf"} 6`, `_sum{${own}} 12.25`, `_count{${own}} 6`]);
});

it('[G4a] counts with few labels begin at 0, so that their first increase is seen', () => {
  const text = printMetrics(new Map(), []);
  expect(linesOf(text, 'worldkeep_operations_appended_total{')).toHaveLength(4);
  expect(text).toContain('\nworldkeep_dead_letters_total 0\n');
});

it('[G5] nobody knows the counts: there are only gauges', () => {
  const text = printMetrics(null, [{ name: 'worldkeep_store_up', labels: ['redis'], value: 0 }]);
  expect(text).toBe(
    '# HELP worldkeep_store_up Whether the store answered this scrape: 1 or 0.\n# TYPE worldkeep_store_up gauge\nworldkeep_store_up{store="redis"} 0\n',
  );
});

it('fields that another version has written are left out', () => {
  const odd = ['another_name', 'worldkeep_backlog_bytes', 'worldkeep_http_requests_total|GET', 'constructor'];
  expect(odd.map(readField)).toEqual(odd.map(() => null));
  const text = printMetrics(new Map([...odd, 'worldkeep_streams_opened_total|x'].map((f) => [f, 1])), []);
  expect(text).toContain('\nworldkeep_streams_opened_total 0\n');
  expect(text).not.toContain('another_name');
});

it('label values are escaped', () => {
  const text = printMetrics(new Map(), [{ name: 'worldkeep_store_up', labels: ['a"b\\c\nd'], value: 1 }]);
  expect(text).toContain('worldkeep_store_up{store="a\\"b\\\\c\\nd"} 1');
});

it('[G1] every family is named as Prometheus names things', () => {
  for (const [name, { type, help, labels, buckets = [] }] of Object.entries<Family>(FAMILIES)) {
    expect(name).toMatch(/^worldkeep_[a-z_]+[a-z]$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    expect(help, name).toMatch(/^[A-Z].*\.$/);
    expect(new Set(labels).size).toBe(labels.length);
    expect(buckets).toEqual(buckets.toSorted((a, b) => a - b));
  }
});
