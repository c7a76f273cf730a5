import { expect, it } from 'vitest';
import { SQUARE } from './square.ts';

const SHAPES = ['box', 'sphere', 'cylinder', 'cone', 'torus', 'plane', 'none'];
const byId = new Map(SQUARE.map((object) => [object.id, object]));

it('has enough objects to look at, each with an id of its own', () => {
  expect(SQUARE.length).toBeGreaterThanOrEqual(80);
  expect(SQUARE.length).toBeLessThanOrEqual(150);
  expect(byId.size).toBe(SQUARE.length);
  for (const id of ['ground', 'fountain', 'bench', 'lantern-1', 'lantern-6'])
    expect([id, byId.has(id)]).toEqual([id, true]);
});

it('has only shapes and colours that the page knows', () => {
  for (const { id, properties } of SQUARE) {
    expect([id, SHAPES.includes(properties.shape ?? 'box')]).toEqual([id, true]);
    if (properties.shape !== 'none')
      expect([id, properties.color]).toEqual([id, expect.stringMatching(/^#[0-9a-f]{6}$/)]);
  }
});

it('groups objects below invisible parents without a scale', () => {
  for (const { id, parentId } of SQUARE) {
    const parent = byId.get(parentId ?? '');
    if (parentId === undefined) continue;
    expect([id, parent?.properties.shape, parent?.scale]).toEqual([id, 'none', undefined]);
  }
});
