import {
  type Color,
  DynamicDrawUsage,
  InstancedBufferAttribute,
  InstancedMesh,
  Matrix4,
  type Scene,
} from 'three';
import type { Figure, Part, Piece } from './figure.ts';

class Slot implements Part {
  readonly figure: Figure;
  /** Its place in the buffers of the batch. */
  index: number;
  readonly #batch: Batch;

  constructor(batch: Batch, figure: Figure, index: number) {
    this.#batch = batch;
    this.figure = figure;
    this.index = index;
  }

  get piece(): Piece {
    return this.#batch.piece;
  }

  place(): void {
    this.#batch.place(this);
  }

  remove(): void {
    this.#batch.remove(this);
  }
}

const FIRST_CAPACITY = 16;
const scratch = new Matrix4();

/** All figures that show the same piece: the graphics card draws them in one call. */
export class Batch {
  readonly piece: Piece;
  readonly #scene: Scene;
  readonly #slots: Slot[] = [];
  #mesh: InstancedMesh;

  constructor(scene: Scene, piece: Piece) {
    this.#scene = scene;
    this.piece = piece;
    this.#mesh = this.#open(FIRST_CAPACITY);
  }

  get mesh(): InstancedMesh {
    return this.#mesh;
  }

  get isEmpty(): boolean {
    return this.#slots.length === 0;
  }

  /** @param color null: the material's own */
  add(figure: Figure, color: Color | null): Part {
    if (this.#slots.length === this.#mesh.instanceMatrix.count) this.#grow();
    const slot = new Slot(this, figure, this.#slots.length);
    this.#slots.push(slot);
    this.#mesh.count = this.#slots.length;
    if (color !== null) {
      this.#mesh.setColorAt(slot.index, color);
      if (this.#mesh.instanceColor !== null) this.#mesh.instanceColor.needsUpdate = true;
    }
    this.place(slot);
    return slot;
  }

  /** The last slot takes the place of the removed one. */
  remove(slot: Slot): void {
    const last = this.#slots.pop();
    this.#mesh.count = this.#slots.length;
    if (last === undefined || last === slot) return;
    const { instanceMatrix, instanceColor } = this.#mesh;
    instanceMatrix.array.copyWithin(slot.index * 16, last.index * 16, last.index * 16 + 16);
    instanceMatrix.needsUpdate = true;
    if (instanceColor !== null) {
      instanceColor.array.copyWithin(slot.index * 3, last.index * 3, last.index * 3 + 3);
      instanceColor.needsUpdate = true;
    }
    last.index = slot.index;
    this.#slots[slot.index] = last;
  }

  /** Puts a part where its figure is. */
  place({ figure, index }: Slot): void {
    const { offset } = this.piece;
    const matrix = offset === null ? figure.matrix : scratch.multiplyMatrices(figure.matrix, offset);
    matrix.toArray(this.#mesh.instanceMatrix.array, index * 16);
    this.#mesh.instanceMatrix.needsUpdate = true;
  }

  figureAt(index: number): Figure | undefined {
    return this.#slots[index]?.figure;
  }

  dispose(): void {
    this.#scene.remove(this.#mesh);
    this.#mesh.dispose();
  }

  #open(capacity: number): InstancedMesh {
    const mesh = new InstancedMesh(this.piece.geometry, this.piece.material, capacity);
    mesh.instanceMatrix.setUsage(DynamicDrawUsage);
    mesh.count = 0;
    // Its bounds would have to be computed again whenever something moves.
    mesh.frustumCulled = false;
    mesh.castShadow = true;
    mesh.receiveShadow = true;
    mesh.userData.batch = this;
    this.#scene.add(mesh);
    return mesh;
  }

  #grow(): void {
    const small = this.#mesh;
    const mesh = this.#open(small.instanceMatrix.count * 2);
    mesh.instanceMatrix.array.set(small.instanceMatrix.array);
    if (small.instanceColor !== null) {
      const colors = new Float32Array(mesh.instanceMatrix.count * 3);
      colors.set(small.instanceColor.array);
      mesh.instanceColor = new InstancedBufferAttribute(colors, 3);
    }
    this.#scene.remove(small);
    small.dispose();
    this.#mesh = mesh;
  }
}
