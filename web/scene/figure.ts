import { type BufferGeometry, type Material, Matrix4, Quaternion, Vector3 } from 'three';

export interface Pose {
  readonly position: Readonly<{ x: number; y: number; z: number }>;
  readonly rotation: Readonly<{ x: number; y: number; z: number; w: number }>;
  readonly scale: Readonly<{ x: number; y: number; z: number }>;
}

/** A piece of a shape or model, and where it is in it. */
export interface Piece {
  readonly geometry: BufferGeometry;
  readonly material: Material;
  /** null: at the origin */
  readonly offset: Matrix4 | null;
}

/** One drawn piece of a figure. */
export interface Part {
  readonly piece: Piece;
  readonly figure: Figure;
  /** Draws the part where its figure is now. */
  place(): void;
  remove(): void;
}

/** Milliseconds of a movement whose pace is unknown: its first change. */
const FIRST_MS = 120;
/** Changes further apart are two movements. */
const PAUSE_MS = 1_000;
const INTERVAL_MS = { min: 50, max: 500 };
/** A little more than the time between two changes, so that a late change does not make the figure stop. */
const STRETCH = 1.2;
/** Metres. A figure that goes further in one change appears there. */
const JUMP = 40;
/** The largest number of a matrix that is drawn. Larger ones lose their precision, and then are infinite for the graphics card. */
export const DRAWN_MAX = 1e7;

/** One object or avatar in the scene: where it is shown, and how it gets to its place. */
export class Figure {
  readonly id: string;
  parent: Figure | null = null;
  readonly children = new Set<Figure>();
  readonly position = new Vector3();
  readonly rotation = new Quaternion();
  readonly scale = new Vector3(1, 1, 1);
  /** From the figure's own metres to metres of the world. */
  readonly matrix = new Matrix4();
  /** Whether the figure can be drawn: its place and its size are not too large. If not, its matrix is all zeros. */
  isShown = true;
  parts: Part[] = [];
  /** The frame in which the shown pose changed last. */
  changedInFrame = -1;
  readonly #from = { position: new Vector3(), rotation: new Quaternion(), scale: new Vector3() };
  readonly #to = { position: new Vector3(), rotation: new Quaternion(), scale: new Vector3() };
  #turns = false;
  #startMs = 0;
  #durationMs = 0;
  #intervalMs = FIRST_MS;
  #changedMs = Number.NEGATIVE_INFINITY;

  constructor(id: string) {
    this.id = id;
  }

  /** Shows a pose immediately. */
  setPose({ position, rotation, scale }: Pose): void {
    this.position.copy(position);
    this.rotation.copy(rotation);
    this.scale.copy(scale);
    this.#to.position.copy(position);
    this.#to.rotation.copy(rotation);
    this.#to.scale.copy(scale);
    this.#durationMs = 0;
  }

  /** Computes the matrix from the shown pose and the parent's matrix. */
  place(): void {
    const { matrix, parent } = this;
    matrix.compose(this.position, this.rotation, this.scale);
    if (parent !== null) matrix.premultiply(parent.matrix);
    this.isShown = parent === null || parent.isShown;
    // Also false for NaN.
    for (const element of matrix.elements) if (!(Math.abs(element) <= DRAWN_MAX)) this.isShown = false;
    if (!this.isShown) matrix.makeScale(0, 0, 0);
  }

  /** Starts to move to a pose at the pace of the changes. @returns false if the figure jumps there */
  moveTo(pose: Pose, nowMs: number): boolean {
    const sinceMs = nowMs - this.#changedMs;
    this.#changedMs = nowMs;
    if (this.position.distanceToSquared(pose.position as Vector3) > JUMP ** 2) {
      this.setPose(pose);
      return false;
    }
    if (sinceMs > PAUSE_MS) this.#intervalMs = FIRST_MS;
    else {
      const measured = Math.min(INTERVAL_MS.max, Math.max(INTERVAL_MS.min, sinceMs));
      this.#intervalMs += (measured - this.#intervalMs) * 0.3;
    }
    this.#from.position.copy(this.position);
    this.#from.rotation.copy(this.rotation);
    this.#from.scale.copy(this.scale);
    this.#to.position.copy(pose.position);
    this.#to.rotation.copy(pose.rotation);
    this.#to.scale.copy(pose.scale);
    this.#turns = !this.#from.rotation.equals(this.#to.rotation);
    this.#startMs = nowMs;
    this.#durationMs = this.#intervalMs * STRETCH;
    return true;
  }

  /** Moves the shown pose towards its place. @returns whether it is still on its way */
  advance(nowMs: number): boolean {
    const t = this.#durationMs === 0 ? 1 : Math.min(1, (nowMs - this.#startMs) / this.#durationMs);
    this.position.lerpVectors(this.#from.position, this.#to.position, t);
    this.scale.lerpVectors(this.#from.scale, this.#to.scale, t);
    if (this.#turns) this.rotation.slerpQuaternions(this.#from.rotation, this.#to.rotation, t);
    if (t < 1) return true;
    this.position.copy(this.#to.position);
    this.rotation.copy(this.#to.rotation);
    this.scale.copy(this.#to.scale);
    return false;
  }
}
