import { Figure, type Pose } from './figure.ts';

/** All figures of one kind, with their parents. It moves them and computes their matrices. */
export class Figures {
  readonly #figures = new Map<string, Figure>();
  readonly #parentIds = new Map<string, string>();
  /** Figures by the parent that does not exist. */
  readonly #waiting = new Map<string, Set<Figure>>();
  /** Figures whose parent would close a circle. */
  readonly #circular = new Set<Figure>();
  readonly #moving = new Set<Figure>();
  /** Figures whose matrix is out of date. */
  readonly #changed = new Set<Figure>();
  readonly #place: (figure: Figure) => void;
  /** A parent has changed, so that a circle may be open. The next picture looks. */
  #mayOpenCircles = false;
  readonly #due: Figure[] = [];
  #frame = 0;

  /** @param place is called for each figure whose matrix has changed */
  constructor(place: (figure: Figure) => void) {
    this.#place = place;
  }

  get size(): number {
    return this.#figures.size;
  }

  get(id: string): Figure | undefined {
    return this.#figures.get(id);
  }

  values(): IterableIterator<Figure> {
    return this.#figures.values();
  }

  add(id: string, pose: Pose, parentId: string | null): Figure {
    const figure = new Figure(id);
    figure.setPose(pose);
    this.#figures.set(id, figure);
    this.#link(figure, parentId);
    this.#adopt(id);
    this.#changed.add(figure);
    return figure;
  }

  remove(id: string): void {
    const figure = this.#figures.get(id);
    if (figure === undefined) return;
    this.#unlink(figure);
    this.#figures.delete(id);
    this.#moving.delete(figure);
    this.#changed.delete(figure);
    for (const child of [...figure.children]) this.#link(child, id);
    this.#mayOpenCircles = true;
  }

  setParent(figure: Figure, parentId: string | null): void {
    if ((this.#parentIds.get(figure.id) ?? null) === parentId) return;
    this.#link(figure, parentId);
    this.#mayOpenCircles = true;
  }

  /** Shows a pose immediately, as for a change of this tab. */
  setPose(figure: Figure, pose: Pose): void {
    figure.setPose(pose);
    this.#moving.delete(figure);
    this.#changed.add(figure);
  }

  moveTo(figure: Figure, pose: Pose, nowMs: number): void {
    if (figure.moveTo(pose, nowMs)) this.#moving.add(figure);
    else this.setPose(figure, pose);
  }

  /** Places the figure again although its pose is the same. */
  refresh(figure: Figure): void {
    this.#changed.add(figure);
  }

  /** Moves all figures to where they are at a time. @returns whether a figure has moved */
  advance(nowMs: number): boolean {
    this.#frame++;
    if (this.#mayOpenCircles) this.#openCircles();
    for (const figure of this.#moving) {
      if (!figure.advance(nowMs)) this.#moving.delete(figure);
      this.#changed.add(figure);
    }
    if (this.#changed.size === 0) return false;
    for (const figure of this.#changed) figure.changedInFrame = this.#frame;
    for (const figure of this.#changed) if (!this.#isBelowChanged(figure)) this.#update(figure);
    this.#changed.clear();
    return true;
  }

  /** An ancestor's update will reach the figure. */
  #isBelowChanged(figure: Figure): boolean {
    for (let above = figure.parent; above !== null; above = above.parent)
      if (above.changedInFrame === this.#frame) return true;
    return false;
  }

  /** Places a figure and all below it. A loop, because a chain of parents can be longer than the stack of calls. */
  #update(first: Figure): void {
    const due = this.#due;
    due.push(first);
    for (let figure = due.pop(); figure !== undefined; figure = due.pop()) {
      figure.place();
      this.#place(figure);
      for (const child of figure.children) due.push(child);
    }
  }

  /** A figure without its parent is placed in the world, until the parent comes. */
  #link(figure: Figure, parentId: string | null): void {
    this.#unlink(figure);
    this.#changed.add(figure);
    if (parentId === null) return;
    this.#parentIds.set(figure.id, parentId);
    const parent = this.#figures.get(parentId);
    if (parent === undefined) {
      const waiting = this.#waiting.get(parentId) ?? new Set();
      this.#waiting.set(parentId, waiting.add(figure));
    } else if (isWithin(parent, figure)) this.#circular.add(figure);
    else {
      figure.parent = parent;
      parent.children.add(figure);
    }
  }

  #unlink(figure: Figure): void {
    const parentId = this.#parentIds.get(figure.id);
    if (parentId === undefined) return;
    this.#parentIds.delete(figure.id);
    this.#circular.delete(figure);
    figure.parent?.children.delete(figure);
    figure.parent = null;
    const waiting = this.#waiting.get(parentId);
    waiting?.delete(figure);
    if (waiting?.size === 0) this.#waiting.delete(parentId);
  }

  #adopt(parentId: string): void {
    for (const figure of [...(this.#waiting.get(parentId) ?? [])]) this.#link(figure, parentId);
  }

  /** Gives figures their parents where this closes no circle any more. */
  #openCircles(): void {
    this.#mayOpenCircles = false;
    for (const figure of [...this.#circular]) this.#link(figure, this.#parentIds.get(figure.id) ?? null);
  }
}

/** Whether a figure is another one, or below it. */
function isWithin(figure: Figure, other: Figure): boolean {
  // Most figures have none below them, and a chain of parents can be long.
  if (other.children.size === 0) return figure === other;
  for (let above: Figure | null = figure; above !== null; above = above.parent)
    if (above === other) return true;
  return false;
}
