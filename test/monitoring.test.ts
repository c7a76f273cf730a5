import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAMILIES, type Family } from '../src/metrics/families.ts';

const DOCS = resolve(import.meta.dirname, '../docs');
const readDoc = (name: string) => readFileSync(join(DOCS, name), 'utf8');
const families = Object.entries<Family>(FAMILIES);
const names = families.map(([name]) => name);

/** The metrics that a text of queries names, as the names of their families. */
function listFamilies(queries: string): Set<string> {
  const names = [...queries.matchAll(/\bworldkeep_[a-z_]+/g)].map(([name]) => name);
  return new Set(names.map((name) => name.replace(/(_seconds)_(bucket|sum|count)$/, '$1')));
}

interface Panel {
  type: string;
  targets?: { expr: string }[];
  gridPos: { x: number; y: number; w: number; h: number };
}

describe('the files for monitoring', () => {
  const rules = readDoc('monitoring/worldkeep-alerts.yml');
  const page = readDoc('operating.md');
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

  it('have alerts only about families that are declared, each with its wait, its severity and its place in the manual', () => {
    expect(names).toEqual(expect.arrayContaining([...listFamilies(rules)]));
    expect(alerts.length).toBeGreaterThan(10);
    for (const rule of rules.split(/(?=- alert: )/).slice(1)) {
      const name = /- alert: (\w+)/.exec(rule)?.[1] ?? '';
      expect(rule, name).toMatch(/^ +for: \d+m$/m);
      expect(rule, name).toMatch(/severity: (critical|warning|info)/);
      expect(rule, name).toMatch(/^ +summary: .+\.['"]?$/m);
      expect(rule, name).toContain(`runbook_url: docs/operating.md#${name.toLowerCase()}\n`);
      expect(page, name).toContain(`#### ${name}\n`);
    }
  });

  it('have a dashboard that Grafana can be given as a file, with every family', () => {
    const dashboard = JSON.parse(readDoc('monitoring/grafana-dashboard.json'));
    const panels: Panel[] = dashboard.panels;
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
    expect([...listFamilies(queries)].sort()).toEqual(names.toSorted());
    expect(dashboard.templating.list).toMatchObject([
      { name: 'datasource', type: 'datasource', query: 'prometheus' },
    ]);
    // A file that Grafana exports for sharing has these: provisioning does not fill them in.
    expect(JSON.stringify(dashboard)).not.toContain('__inputs');
    for (const panel of panels)
      if (panel.type !== 'row')
        expect(panel).toMatchObject({ datasource: { uid: '$'.concat('{datasource}') } });
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });

  it('have a manual that lists every family with its labels', () => {
    const rows = [...page.matchAll(/^\| `(worldkeep_\w+)` \| (\w+) \| ([^|]*) \|/gm)].map(
      ([, name, type, labels = '']) => ({
        name,
        type,
        labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
      }),
    );
    expect(rows).toEqual(families.map(([name, { type, labels }]) => ({ name, type, labels: [...labels] })));
  });
});
