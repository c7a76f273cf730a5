import { Emitter, type EventQueue } from './emitter.ts';

/** `before` is the previous value, which never changes. */
export type LiveMapEvents<Item> = {
  enter: [item: Item];
  change: [item: Item, before: Item];
  leave: [before: Item];
};

/**
 * Items by id, as this client sees them. An item is never changed in place: a changed item is another value.
 * Each event comes after the map has the new value.
 */
export interface LiveMap<Item> extends Iterable<[id: string, item: Item]> {
  readonly size: number;
  get(id: string): Item | undefined;
  has(id: string): boolean;
  keys(): IterableIterator<string>;
  values(): IterableIterator<Item>;
  /** @returns a function that removes the listener */
  on<Name extends keyof LiveMapEvents<Item>>(
    event: Name,
    listener: (...args: LiveMapEvents<Item>[Name]) => void,
  ): () => void;
  /** Calls the listener after each change of one item. @returns a function that removes the listener */
  watch(id: string, listener: () => void): () => void;
}

/** The confirmed items, with the client's own pending changes above them. */
export class LayeredMap<Item> implements LiveMap<Item> {
  readonly #confirmed: ReadonlyMap<string, Item>;
  /** Items with pending changes; null: a pending change deletes the item. */
  readonly #pending = new Map<string, Item | null>();
  readonly #emitter: Emitter<LiveMapEvents<Item> & Record<`watch ${string}`, []>>;

  constructor(confirmed: ReadonlyMap<string, Item>, queue: EventQueue) {
    this.#confirmed = confirmed;
    this.#emitter = new Emitter(queue);
  }

  get size(): number {
    let { size } = this.#confirmed;
    for (const [id, item] of this.#pending) {
      const isConfirmed = this.#confirmed.has(id);
      if (item === null && isConfirmed) size--;
      if (item !== null && !isConfirmed) size++;
    }
    return size;
  }

  get(id: string): Item | undefined {
    const pending = this.#pending.get(id);
    return pending === null ? undefined : (pending ?? this.#confirmed.get(id));
  }

  has(id: string): boolean {
    return this.get(id) !== undefined;
  }

  *[Symbol.iterator](): IterableIterator<[string, Item]> {
    for (const [id, item] of this.#confirmed) {
      const pending = this.#pending.get(id);
      if (pending !== null) yield [id, pending ?? item];
    }
    for (const [id, item] of this.#pending) if (item !== null && !this.#confirmed.has(id)) yield [id, item];
  }

  *keys(): IterableIterator<string> {
    for (const [id] of this) yield id;
  }

  *values(): IterableIterator<Item> {
    for (const [, item] of this) yield item;
  }

  on<Name extends keyof LiveMapEvents<Item>>(
    event: Name,
    listener: (...args: LiveMapEvents<Item>[Name]) => void,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  watch(id: string, listener: () => void): () => void {
    return this.#emitter.on(`watch ${id}`, listener);
  }

  /** @param item null: deleted by a pending change; undefined: nothing is pending */
  setPending(id: string, item: Item | null | undefined): void {
    if (item === undefined) this.#pending.delete(id);
    else this.#pending.set(id, item);
  }

  /** Tells the listeners of a difference, if there is one. */
  tell(id: string, before: Item | undefined): void {
    const item = this.get(id);
    if (item === before) return;
    if (item === undefined) this.#emitter.emit('leave', before as Item);
    else if (before === undefined) this.#emitter.emit('enter', item);
    else this.#emitter.emit('change', item, before);
    this.#emitter.emit(`watch ${id}`);
  }
}
