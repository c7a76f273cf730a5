import { Box3, Matrix4, type Raycaster, type Scene, type Vector3 } from 'three';
import type { LiveObject, World } from 'worldkeep/client';
import { Batch } from './batch.ts';
import { ModelInvalid } from './check-model.ts';
import type { Figure, Piece } from './figure.ts';
import { Figures } from './figures.ts';
import type { Models } from './models.ts';
import { findPlaceholder, findShape, readColor } from './shapes.ts';

/** Milliseconds before another try to load a model. Each repeat waits twice as long. */
const MODEL_RETRY_MS = 1_000;
const MODEL_TRIES_MAX = 4;

/** The look of an object as one text: the same text needs the same parts. */
type Look = string;

/** Draws the objects of a world, and keeps up with their changes. */
export class Scenery {
  readonly figures: Figures;
  readonly #scene: Scene;
  readonly #models: Models;
  readonly #batches = new Map<Piece, Batch>();
  readonly #looks = new Map<string, Look>();
  /** Why the model of an object is not shown, by the object's id. */
  readonly #failures = new Map<string, unknown>();
  /** Objects that this tab changes now: their changes show without a delay. */
  readonly held = new Set<string>();
  readonly #loading = new Set<Promise<void>>();
  readonly #changed: () => void;
  readonly #isLocked: (id: string) => boolean;

  /** @param onChange is called after each change, because a new picture is due */
  constructor(scene: Scene, world: World, models: Models, onChange: () => void) {
    this.#scene = scene;
    this.#models = models;
    this.#changed = onChange;
    this.figures = new Figures((figure) => {
      for (const part of figure.parts) part.place();
    });
    this.#isLocked = (id) => world.objects.get(id)?.properties.locked === true;
    for (const object of world.objects.values()) this.#add(object);
    world.objects.on('enter', (object) => this.#add(object));
    world.objects.on('change', (object, before) => this.#change(object, before));
    world.objects.on('leave', ({ id }) => this.#remove(id));
    // An outage can be longer than all tries to load a model.
    world.on('status', (status) => {
      if (status === 'live') for (const id of [...this.#failures.keys()]) this.#retry(world.objects.get(id));
    });
  }

  problemOf(id: string): string | null {
    const failure = this.#failures.get(id);
    return failure === undefined ? null : failure instanceof Error ? failure.message : String(failure);
  }

  /** The nearest object that a ray meets. */
  pick(
    raycaster: Raycaster,
    { skipsLocked = false }: { skipsLocked?: boolean } = {},
  ): { id: string; point: Vector3 } | null {
    const meshes = [...this.#batches.values()].map(({ mesh }) => mesh);
    for (const mesh of meshes) mesh.boundingSphere = null;
    for (const { object, instanceId, point } of raycaster.intersectObjects(meshes, false)) {
      const figure = (object.userData.batch as Batch).figureAt(instanceId ?? -1);
      if (figure === undefined || (skipsLocked && this.#isLocked(figure.id))) continue;
      return { id: figure.id, point };
    }
    return null;
  }

  /** Resolves when all models of the world are loaded, or cannot be. */
  async settle(): Promise<void> {
    while (this.#loading.size > 0) await Promise.race(this.#loading);
  }

  /** The space that a figure's parts take, in its own metres. Empty if it has none. */
  measure(figure: Figure): Box3 {
    const box = new Box3();
    for (const { piece } of figure.parts) {
      const { geometry, offset } = piece;
      geometry.boundingBox ?? geometry.computeBoundingBox();
      box.union((geometry.boundingBox ?? new Box3()).clone().applyMatrix4(offset ?? new Matrix4()));
    }
    return box;
  }

  #add(object: LiveObject): void {
    const figure = this.figures.add(object.id, object, object.parentId);
    this.#dress(figure, object);
    this.#changed();
  }

  #change(object: LiveObject, before: LiveObject): void {
    const figure = this.figures.get(object.id);
    if (figure === undefined) return;
    if (object.parentId !== before.parentId) this.figures.setParent(figure, object.parentId);
    if (isMoved(object, before))
      if (this.held.has(object.id)) this.figures.setPose(figure, object);
      else this.figures.moveTo(figure, object, performance.now());
    if (object.properties !== before.properties || object.modelId !== before.modelId)
      this.#dress(figure, object);
    this.#changed();
  }

  #retry(object: LiveObject | undefined): void {
    const figure = object && this.figures.get(object.id);
    if (object === undefined || figure === undefined || object.modelId === null) return;
    const failure = this.#failures.get(object.id);
    if (failure instanceof ModelInvalid) return;
    this.#models.forget(object.modelId, failure);
    this.#looks.delete(object.id);
    this.#dress(figure, object);
  }

  #remove(id: string): void {
    const figure = this.figures.get(id);
    if (figure === undefined) return;
    this.#undress(figure);
    this.#looks.delete(id);
    this.#failures.delete(id);
    this.figures.remove(id);
    this.#changed();
  }

  #dress(figure: Figure, object: LiveObject): void {
    const look = describeLook(object);
    if (this.#looks.get(object.id) === look) return;
    this.#looks.set(object.id, look);
    this.#failures.delete(object.id);
    if (object.modelId === null) {
      const piece = findShape(object);
      this.#wear(figure, object, piece === null ? [] : [piece]);
    } else {
      const loading = this.#loadModel(figure, object, object.modelId, look);
      this.#loading.add(loading);
      void loading.finally(() => this.#loading.delete(loading));
    }
  }

  async #loadModel(figure: Figure, object: LiveObject, modelId: string, look: Look): Promise<void> {
    const isCurrent = () => this.#looks.get(object.id) === look && this.figures.get(object.id) === figure;
    for (let attempt = 1; ; attempt++) {
      try {
        const pieces = await this.#models.load(modelId, readMesh(object));
        if (!isCurrent()) return;
        this.#failures.delete(object.id);
        this.#wear(figure, object, pieces);
        return;
      } catch (error) {
        if (!isCurrent()) return;
        if (figure.parts.length === 0) this.#wear(figure, object, [findPlaceholder()]);
        this.#failures.set(object.id, error);
        if (attempt >= MODEL_TRIES_MAX || error instanceof ModelInvalid) return;
        await new Promise((resolve) => setTimeout(resolve, MODEL_RETRY_MS * 2 ** (attempt - 1)));
        this.#models.forget(modelId, error);
      }
    }
  }

  #wear(figure: Figure, object: LiveObject, pieces: Piece[]): void {
    this.#undress(figure);
    const color = object.modelId === null ? readColor(object) : null;
    figure.parts = pieces.map((piece) => {
      const batch = this.#batches.get(piece) ?? new Batch(this.#scene, piece);
      this.#batches.set(piece, batch);
      return batch.add(figure, color);
    });
    this.figures.refresh(figure);
    this.#changed();
  }

  #undress(figure: Figure): void {
    for (const part of figure.parts) {
      part.remove();
      const batch = this.#batches.get(part.piece);
      if (!batch?.isEmpty) continue;
      batch.dispose();
      this.#batches.delete(part.piece);
    }
    figure.parts = [];
  }
}

/** Which mesh of its model an object shows; null: the whole model. */
function readMesh({ modelId, properties: { gltf } }: LiveObject): number | null {
  const part = gltf as { model?: unknown; mesh?: { index?: unknown } } | null | undefined;
  const index = part?.model === modelId ? part?.mesh?.index : undefined;
  return typeof index === 'number' ? index : null;
}

function describeLook(object: LiveObject): Look {
  const { modelId, properties } = object;
  if (modelId !== null) return `${modelId} ${readMesh(object)}`;
  const { shape, color, glow, gltf } = properties;
  return JSON.stringify([shape, color, glow, gltf !== undefined && !('mesh' in Object(gltf))]);
}

function isMoved(a: LiveObject, b: LiveObject): boolean {
  return !(isSame(a.position, b.position) && isSame(a.rotation, b.rotation) && isSame(a.scale, b.scale));
}

function isSame(a: object, b: object): boolean {
  return a === b || Object.entries(a).every(([axis, value]) => value === Reflect.get(b, axis));
}
