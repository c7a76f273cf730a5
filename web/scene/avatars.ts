import {
  type BufferGeometry,
  CapsuleGeometry,
  Matrix4,
  MeshLambertMaterial,
  type PerspectiveCamera,
  type Scene,
  SphereGeometry,
  Vector3,
} from 'three';
import type { LiveUser, World } from 'worldkeep/client';
import { Batch } from './batch.ts';
import type { Piece } from './figure.ts';
import { Figures } from './figures.ts';
import { colorOf } from './shapes.ts';

/** The page shows the names of so many avatars: of the nearest ones. */
const NAMES_SHOWN_MAX = 40;
const NAME_HEIGHT = 1.95;
const ONE = { x: 1, y: 1, z: 1 };

const material = new MeshLambertMaterial();
const BODY: Piece[] = [
  place(new CapsuleGeometry(0.26, 0.75, 6, 16), 0.68),
  place(new SphereGeometry(0.24, 20, 14), 1.5),
  // A nose, so that others see where a person looks.
  place(new SphereGeometry(0.07, 12, 8), 1.5, -0.24),
];

function place(geometry: BufferGeometry, y: number, z = 0): Piece {
  return { geometry, material, offset: new Matrix4().makeTranslation(0, y, z) };
}

/** The people who are in the world now, with their names. */
export class Avatars {
  readonly figures: Figures;
  readonly #world: World;
  readonly #batches: Batch[];
  readonly #names: HTMLElement;
  readonly #labels = new Map<string, HTMLElement>();
  readonly #point = new Vector3();
  readonly #changed: () => void;
  #isDirty = true;

  /** @param names holds an element for each name */
  constructor(scene: Scene, world: World, names: HTMLElement, onChange: () => void) {
    this.#world = world;
    this.#names = names;
    this.#changed = onChange;
    this.#batches = BODY.map((piece) => new Batch(scene, piece));
    this.figures = new Figures((figure) => {
      for (const part of figure.parts) part.place();
    });
    world.users.on('enter', () => this.#sync());
    world.users.on('leave', () => this.#sync());
    world.users.on('change', (user) => this.#move(user));
    world.presence.on('change', () => this.#sync());
    this.#sync();
  }

  /** @returns whether an avatar has moved */
  advance(nowMs: number): boolean {
    const isMoved = this.figures.advance(nowMs) || this.#isDirty;
    this.#isDirty = false;
    return isMoved;
  }

  /** Puts the names above the avatars on the screen. */
  showNames(camera: PerspectiveCamera, width: number, height: number): void {
    const shown = [...this.figures.values()]
      .map((figure) => ({ id: figure.id, distance: figure.position.distanceToSquared(camera.position) }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, NAMES_SHOWN_MAX)
      .map(({ id }) => id);
    for (const [id, label] of this.#labels) if (!shown.includes(id)) label.hidden = true;
    for (const id of shown) {
      const figure = this.figures.get(id);
      const label = this.#labels.get(id);
      if (figure === undefined || label === undefined) continue;
      const { x, y, z } = this.#point
        .copy(figure.position)
        .setY(figure.position.y + NAME_HEIGHT)
        .project(camera);
      label.hidden = z > 1 || Math.abs(x) > 1.1 || Math.abs(y) > 1.1;
      label.style.transform = `translate(-50%, -100%) translate(${((x + 1) / 2) * width}px, ${((1 - y) / 2) * height}px)`;
    }
  }

  #sync(): void {
    const present = new Set(this.#world.presence.users.map(({ userId }) => userId));
    const { userId: me } = this.#world;
    // Without a list of people, an avatar is all that is known of a person.
    const isHere = (id: string) => id === me || present.size === 0 || present.has(id);
    for (const { id } of [...this.figures.values()])
      if (!this.#world.users.has(id) || !isHere(id)) this.#remove(id);
    for (const user of this.#world.users.values())
      if (isHere(user.id)) {
        if (this.figures.get(user.id) === undefined) this.#add(user);
        this.#name(user);
      }
    this.#isDirty = true;
    this.#changed();
  }

  #add(user: LiveUser): void {
    const figure = this.figures.add(user.id, { ...user, scale: ONE }, null);
    figure.parts = this.#batches.map((batch) => batch.add(figure, colorOf(user.id, 0.55, 0.55)));
    const label = document.createElement('bdi');
    label.className = 'name';
    label.hidden = true;
    this.#labels.set(user.id, label);
    this.#names.append(label);
  }

  #remove(id: string): void {
    for (const part of this.figures.get(id)?.parts ?? []) part.remove();
    this.figures.remove(id);
    this.#labels.get(id)?.remove();
    this.#labels.delete(id);
  }

  #name({ id, displayName }: LiveUser): void {
    const label = this.#labels.get(id);
    if (label !== undefined)
      label.textContent = id === this.#world.userId ? `${displayName} (you)` : displayName;
  }

  #move(user: LiveUser): void {
    const figure = this.figures.get(user.id);
    if (figure === undefined) return;
    const pose = { ...user, scale: ONE };
    // The walker has moved the own avatar already.
    if (user.id === this.#world.userId) this.figures.setPose(figure, pose);
    else this.figures.moveTo(figure, pose, performance.now());
    this.#name(user);
    this.#changed();
  }
}
