import type { Vector3 } from '../../world/types.ts';

const RADIUS_M = 5;
/** Metres between the centres of two circles. */
const SPACING_M = 12;
const HEIGHT_M = 1;

/**
 * A circle that an object goes round once. So each place is for one moment, and tells when the object was moved there. A move needs no
 * more bytes for it.
 */
export class Circle {
  readonly #x: number;
  readonly #z: number;
  readonly #lapMs: number;

  /** @param index of the circle in a square of `count` circles. @param lapMs milliseconds of one lap */
  constructor(index: number, count: number, lapMs: number) {
    const side = Math.ceil(Math.sqrt(count));
    this.#x = (index % side) * SPACING_M;
    this.#z = Math.floor(index / side) * SPACING_M;
    this.#lapMs = lapMs;
  }

  /** @param elapsedMs from 0, below that of a lap */
  placeAt(elapsedMs: number): Vector3 {
    const angle = (elapsedMs / this.#lapMs) * 2 * Math.PI;
    return {
      x: this.#x + RADIUS_M * Math.cos(angle),
      y: HEIGHT_M,
      z: this.#z + RADIUS_M * Math.sin(angle),
    };
  }

  /** The milliseconds since the start, of a place on the circle. */
  readElapsedMs({ x, z }: Pick<Vector3, 'x' | 'z'>): number {
    const angle = Math.atan2(z - this.#z, x - this.#x);
    return ((angle < 0 ? angle + 2 * Math.PI : angle) / (2 * Math.PI)) * this.#lapMs;
  }
}
