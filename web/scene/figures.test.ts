import { describe, expect, it } from 'vitest';
import type { Figure, Pose } from './figure.ts';
import { Figures } from './figures.ts';

const at = (x: number, y = 0, z = 0): Pose => ({
  position: { x, y, z },
  rotation: { x: 0, y: 0, z: 0, w: 1 },
  scale: { x: 1, y: 1, z: 1 },
});
const readPlace = ({ matrix }: Figure) => [...matrix.elements.slice(12, 15)];

function open() {
  const placed: string[] = [];
  const figures = new Figures(({ id }) => placed.push(id));
  return {
    figures,
    /** The ids that one frame places, in alphabetical order. */
    advance(nowMs = 0): string[] {
      placed.length = 0;
      figures.advance(nowMs);
      return [...placed].sort();
    },
    /** Where a figure is shown, or null if its matrix has no finite place. */
    place: (id: string) => readPlace(figures.get(id) as Figure),
  };
}

describe('parents', () => {
  it('a child moves with its parent, and is placed once', () => {
    const { figures, advance, place } = open();
    const parent = figures.add('parent', at(10), null);
    figures.add('child', at(1), 'parent');
    expect(advance()).toEqual(['child', 'parent']);
    expect(place('child')).toEqual([11, 0, 0]);
    figures.setPose(parent, at(20));
    figures.refresh(figures.get('child') as Figure);
    expect(advance()).toEqual(['child', 'parent']);
    expect(place('child')).toEqual([21, 0, 0]);
    expect(advance()).toEqual([]);
  });

  it('a child whose parent is missing is placed in the world until the parent comes', () => {
    const { figures, advance, place } = open();
    figures.add('child', at(1), 'parent');
    advance();
    expect(place('child')).toEqual([1, 0, 0]);
    figures.add('parent', at(10), null);
    advance();
    expect(place('child')).toEqual([11, 0, 0]);
    figures.remove('parent');
    advance();
    expect(place('child')).toEqual([1, 0, 0]);
    figures.add('parent', at(5), null);
    advance();
    expect(place('child')).toEqual([6, 0, 0]);
  });

  it('a circle is cut at one place, and closes again when it is no circle any more', () => {
    const { figures, advance, place } = open();
    figures.add('a', at(1), 'b');
    figures.add('b', at(10), 'a');
    advance();
    const xs = [place('a')[0], place('b')[0]].sort();
    expect([
      [1, 11],
      [10, 11],
    ]).toContainEqual(xs.sort((x, y) => Number(x) - Number(y)));
    figures.setParent(figures.get('b') as Figure, null);
    advance();
    expect([place('a'), place('b')]).toEqual([
      [11, 0, 0],
      [10, 0, 0],
    ]);
    figures.setParent(figures.get('a') as Figure, 'a');
    advance();
    expect(place('a')).toEqual([1, 0, 0]);
  });

  it('a circle that a removed figure opens is no circle any more', () => {
    const { figures, advance, place } = open();
    figures.add('a', at(1), null);
    figures.add('b', at(10), 'a');
    figures.add('c', at(100), 'b');
    figures.setParent(figures.get('a') as Figure, 'c');
    figures.remove('b');
    advance();
    expect(place('c')).toEqual([100, 0, 0]);
    expect(place('a')).toEqual([101, 0, 0]);
  });

  it('a chain of 20,000 figures is placed', () => {
    const { figures, advance, place } = open();
    for (let i = 0; i < 20_000; i++) figures.add(`${i}`, at(1), i === 0 ? null : `${i - 1}`);
    expect(advance()).toHaveLength(20_000);
    expect(place('19999')).toEqual([20_000, 0, 0]);
  });
});

describe('movements', () => {
  it('a figure moves to its place at the pace of the changes, and stops there', () => {
    const { figures, advance, place } = open();
    const figure = figures.add('a', at(0), null);
    advance(0);
    figures.moveTo(figure, at(4), 1_000);
    advance(1_072);
    expect(place('a')[0]).toBeCloseTo(2);
    expect(figures.advance(1_500)).toBe(true);
    expect(place('a')).toEqual([4, 0, 0]);
    expect(figures.advance(1_600)).toBe(false);
  });

  it('a change during a movement starts where the figure is shown', () => {
    const { figures, advance, place } = open();
    const figure = figures.add('a', at(0), null);
    figures.moveTo(figure, at(4), 1_000);
    advance(1_072);
    figures.moveTo(figure, at(0), 1_072);
    advance(1_072);
    expect(place('a')[0]).toBeCloseTo(2);
    advance(2_000);
    expect(place('a')).toEqual([0, 0, 0]);
  });

  it('a figure that goes far in one change appears there', () => {
    const { figures, advance, place } = open();
    const figure = figures.add('a', at(0), null);
    figures.moveTo(figure, at(41), 1_000);
    expect(advance(1_000)).toEqual(['a']);
    expect(place('a')).toEqual([41, 0, 0]);
    expect(figures.advance(1_010)).toBe(false);
  });

  it('a pose of this tab ends a movement', () => {
    const { figures, advance, place } = open();
    const figure = figures.add('a', at(0), null);
    figures.moveTo(figure, at(4), 1_000);
    advance(1_010);
    figures.setPose(figure, at(1));
    advance(1_020);
    advance(1_500);
    expect(place('a')).toEqual([1, 0, 0]);
  });

  it('a place that no number of the graphics card holds leaves the figure out', () => {
    const { figures, advance } = open();
    const figure = figures.add('a', at(1e300), null);
    figures.add('below', at(1), 'a');
    figures.add('huge', { ...at(0), scale: { x: 1e200, y: 1e200, z: 1e200 } }, null);
    advance();
    const read = () => ['a', 'below', 'huge'].flatMap((id) => figures.get(id)?.matrix.elements ?? []);
    expect(read().every((element) => Number.isFinite(Math.fround(element)))).toBe(true);
    expect(figures.get('below')?.isShown).toBe(false);
    figures.setPose(figure, at(3));
    advance();
    expect(readPlace(figures.get('below') as Figure)).toEqual([4, 0, 0]);
    expect(figures.get('below')?.isShown).toBe(true);
  });
});
