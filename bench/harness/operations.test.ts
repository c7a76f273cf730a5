import { describe, expect, it } from 'vitest';
import { makeBodies, nameObject, turnBack } from './operations.ts';

describe('the load', () => {
  it('moves each object in small steps, forwards and backwards', () => {
    const bodies = makeBodies({ objects: 20, opsPerRequest: 10, bodies: 40, seed: 1 });
    const places = new Map<string, { x: number; z: number }>();
    for (let n = 0; n < 200; n++) {
      const { ops } = JSON.parse(bodies[turnBack(n, bodies.length)]?.toString() ?? '') as {
        ops: {
          op: string;
          id: string;
          position: { x: number; z: number };
          rotation: { y: number; w: number };
        }[];
      };
      expect(ops).toHaveLength(10);
      for (const { op, id, position, rotation } of ops) {
        expect(op).toBe('patch');
        // The server stores a rotation of this length unchanged.
        expect(Math.abs(Math.hypot(rotation.y, rotation.w) - 1)).toBeLessThan(1e-4);
        const before = places.get(id);
        places.set(id, position);
        if (before === undefined) continue;
        expect(Math.hypot(position.x - before.x, position.z - before.z)).toBeLessThan(0.302);
      }
    }
    expect([...places.keys()].sort()).toEqual(Array.from({ length: 20 }, (_, i) => nameObject(i)));
  });
});
