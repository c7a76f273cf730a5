import {
  BufferAttribute,
  BufferGeometry,
  CanvasTexture,
  Color,
  DynamicDrawUsage,
  Points,
  PointsMaterial,
  type Scene,
} from 'three';
import type { Durability, World } from 'worldkeep/client';
import type { Figure } from './figure.ts';
import type { Figures } from './figures.ts';

/** The place that has the last change of an object, and the colour of its mark. */
export const HOLDERS: Record<Durability, { label: string; color: string }> = {
  local: { label: 'Sending: only this browser has it yet', color: '#ffb454' },
  memory: { label: 'In memory: one process of the server has it', color: '#ff8a65' },
  spilled: { label: 'Spilled: Postgres has it until the log is back', color: '#c39bff' },
  queued: { label: 'Queued: the log has it', color: '#5cb8ff' },
  committed: { label: 'Committed: Postgres has it', color: '#6fdc8c' },
};

/** Milliseconds for which an object shows that its change was committed. */
const COMMITTED_MS = 800;
const CHECK_MS = 100;
const PIXELS = 11;
/** Metres above an object. */
const GAP = 0.25;
const FIRST_CAPACITY = 64;

const COLORS = Object.fromEntries(
  Object.entries(HOLDERS).map(([level, { color }]) => [level, new Color(color)]),
) as Record<Durability, Color>;

interface Mark {
  /** null: not known yet. */
  level: Durability | null;
  /** When a mark of `committed` goes. */
  endMs: number;
}

/** A dot above each object whose last change Postgres does not have, or has had for less than a second. */
export class Marks {
  isShown = true;
  readonly #world: World;
  readonly #figures: Figures;
  readonly #marks = new Map<string, Mark>();
  readonly #geometry = new BufferGeometry();
  readonly #points: Points;
  #checkedMs = 0;

  constructor(scene: Scene, world: World, figures: Figures) {
    this.#world = world;
    this.#figures = figures;
    this.#reserve(FIRST_CAPACITY);
    const material = new PointsMaterial({
      size: PIXELS * Math.min(devicePixelRatio, 2),
      sizeAttenuation: false,
      vertexColors: true,
      map: drawDot(),
      alphaTest: 0.5,
      toneMapped: false,
      fog: false,
    });
    this.#points = new Points(this.#geometry, material);
    this.#points.frustumCulled = false;
    scene.add(this.#points);
    // Only the next check knows the level of a change of somebody else. A world that has just been loaded is committed.
    const note = ({ id }: { id: string }) => {
      const level = world.durabilityOf(id);
      this.#marks.set(id, { level: level === 'queued' || level === 'committed' ? null : level, endMs: 0 });
    };
    world.objects.on('enter', note);
    world.objects.on('change', note);
    world.objects.on('leave', ({ id }) => this.#marks.delete(id));
  }

  /** Objects by what holds their last change, if Postgres does not have it. */
  count(): Record<Exclude<Durability, 'committed'>, number> {
    const counts = { local: 0, memory: 0, spilled: 0, queued: 0 };
    for (const { level } of this.#marks.values())
      if (level !== null && level !== 'committed') counts[level]++;
    return counts;
  }

  /** @returns whether a mark has come, gone or moved */
  update(nowMs: number): boolean {
    if (this.#marks.size === 0 && this.#geometry.drawRange.count === 0) return false;
    if (nowMs - this.#checkedMs >= CHECK_MS) {
      this.#checkedMs = nowMs;
      this.#check(nowMs);
    }
    this.#draw();
    return true;
  }

  #check(nowMs: number): void {
    for (const [id, mark] of this.#marks)
      if (mark.level !== 'committed') {
        const level = this.#world.durabilityOf(id);
        if (level === 'committed' && mark.level === null) this.#marks.delete(id);
        if (level === 'committed') mark.endMs = nowMs + COMMITTED_MS;
        mark.level = level;
      } else if (nowMs > mark.endMs) this.#marks.delete(id);
  }

  #draw(): void {
    const count = this.isShown ? this.#marks.size : 0;
    const positions = this.#reserve(count);
    const colors = this.#geometry.getAttribute('color') as BufferAttribute;
    let i = 0;
    if (this.isShown)
      for (const [id, { level }] of this.#marks) {
        const figure = this.#figures.get(id);
        if (figure === undefined || level === null || !figure.isShown) continue;
        const { elements } = figure.matrix;
        const top = readTop(figure) * Math.hypot(elements[4], elements[5], elements[6]);
        positions.setXYZ(i, elements[12], elements[13] + top + GAP, elements[14]);
        const { r, g, b } = COLORS[level];
        colors.setXYZ(i++, r, g, b);
      }
    positions.needsUpdate = true;
    colors.needsUpdate = true;
    this.#geometry.setDrawRange(0, i);
  }

  #reserve(count: number): BufferAttribute {
    const known = this.#geometry.getAttribute('position') as BufferAttribute | undefined;
    if (known !== undefined && known.count >= count) return known;
    const capacity = Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(count)));
    // The buffers of another size are of another geometry for the graphics card.
    this.#geometry.dispose();
    for (const name of ['position', 'color'])
      this.#geometry.setAttribute(
        name,
        new BufferAttribute(new Float32Array(capacity * 3), 3).setUsage(DynamicDrawUsage),
      );
    return this.#geometry.getAttribute('position') as BufferAttribute;
  }
}

/** The upper end of a figure, in its own metres. */
function readTop({ parts }: Figure): number {
  let top = 0;
  for (const { piece } of parts) {
    const { geometry, offset } = piece;
    geometry.boundingBox ?? geometry.computeBoundingBox();
    top = Math.max(top, (geometry.boundingBox?.max.y ?? 0) + (offset?.elements[13] ?? 0));
  }
  return top;
}

function drawDot(): CanvasTexture {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 32;
  const context = canvas.getContext('2d');
  if (context !== null) {
    context.fillStyle = '#fff';
    context.arc(16, 16, 15, 0, 2 * Math.PI);
    context.fill();
  }
  return new CanvasTexture(canvas);
}
