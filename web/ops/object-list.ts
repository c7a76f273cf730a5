import { describeFailure, encodeId, type Page, type Server } from './server.ts';

/** The parts of an object that a row shows. */
export interface ListedObject {
  id: string;
  name: string | null;
  position: { x: number; y: number; z: number };
  updatedBy: string | null;
  updatedAt: string;
}

const PAGE_LIMIT = 1_000;
/** Objects that are loaded ahead of the visible ones. */
const AHEAD = 200;

/**
 * The objects of one space, loaded page by page as far as somebody looks. The server has no search for objects. So a search filters
 * the loaded objects, and loads on until the visible rows are full or the list ends.
 */
export class ObjectList {
  readonly #server: Pick<Server, 'call'>;
  readonly #space: string;
  readonly #onChange: () => void;
  readonly #loaded: ListedObject[] = [];
  #found: ListedObject[] = [];
  #search = '';
  #cursor: string | null = null;
  #wanted = 0;
  #total: number | null = null;
  isEnded = false;
  isLoading = false;
  problem: string | null = null;

  constructor(server: Pick<Server, 'call'>, space: string, onChange: () => void) {
    this.#server = server;
    this.#space = space;
    this.#onChange = onChange;
  }

  get loadedCount(): number {
    return this.#loaded.length;
  }

  /** The number of rows. Without a search, rows that are not loaded yet count too, so that the scroll bar is right. */
  get rowCount(): number {
    if (this.#search !== '') return this.#found.length;
    return this.isEnded ? this.#loaded.length : Math.max(this.#loaded.length, this.#total ?? 0);
  }

  /** Null: it is not loaded yet. */
  row(index: number): ListedObject | null {
    return (this.#search === '' ? this.#loaded : this.#found)[index] ?? null;
  }

  /** The rows in words: how many there are, and how far the list is loaded. */
  describe(): string {
    const total = this.isEnded ? this.#loaded.length : this.#total;
    const of = total === null ? '' : ` of ${total.toLocaleString()}`;
    const loaded = this.#loaded.length.toLocaleString();
    if (this.#search === '')
      return `${loaded}${of} objects loaded${this.isEnded ? '' : '. Scroll on to load more'}.`;
    const found = this.#found.length.toLocaleString();
    return `${found} found by id and name in ${loaded}${of} objects${this.isLoading ? '. Searching…' : '.'}`;
  }

  /** Reads the number of objects. Without it, the list grows while it is scrolled. */
  async count(): Promise<void> {
    const path = `/v1/spaces/${encodeId(this.#space)}/statistics`;
    this.#total = (await this.#server.call<{ objects: number }>('GET', path)).objects;
    this.#onChange();
  }

  search(text: string): void {
    this.#search = text.toLowerCase();
    this.#found = this.#search === '' ? [] : this.#loaded.filter((object) => this.#matches(object));
    this.#wanted = AHEAD;
    void this.#load();
  }

  /** Loads until the row is there, and some after it. */
  want(index: number): void {
    this.#wanted = Math.max(this.#wanted, index + AHEAD);
    void this.#load();
  }

  /** Shows an object as it is now, after the person changed it. Null: it is deleted. */
  replace(id: string, object: ListedObject | null): void {
    for (const list of [this.#loaded, this.#found]) {
      const at = list.findIndex((listed) => listed.id === id);
      // An object that is the same keeps its row, and so the focus.
      if (at === -1 || (object !== null && isSame(list[at], pick(object)))) continue;
      list.splice(at, 1, ...(object === null ? [] : [pick(object)]));
    }
    this.#onChange();
  }

  #matches({ id, name }: ListedObject): boolean {
    return id.toLowerCase().includes(this.#search) || (name ?? '').toLowerCase().includes(this.#search);
  }

  async #load(): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    this.problem = null;
    try {
      while (!this.isEnded && this.#hasToLoad()) {
        const page = await this.#server.call<Page<ListedObject>>(
          'GET',
          `/v1/spaces/${encodeId(this.#space)}/objects`,
          { query: { limit: PAGE_LIMIT, cursor: this.#cursor } },
        );
        const objects = page.items.map(pick);
        this.#loaded.push(...objects);
        if (this.#search !== '') this.#found.push(...objects.filter((object) => this.#matches(object)));
        this.#cursor = page.nextCursor;
        this.isEnded = page.nextCursor === null;
        this.#onChange();
      }
    } catch (error) {
      this.problem = describeFailure(error);
    }
    this.isLoading = false;
    this.#onChange();
  }

  #hasToLoad(): boolean {
    return (this.#search === '' ? this.#loaded : this.#found).length < this.#wanted;
  }
}

function isSame(a: ListedObject | undefined, b: ListedObject): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Without properties, which may be large. */
function pick({ id, name, position, updatedBy, updatedAt }: ListedObject): ListedObject {
  return { id, name, position, updatedBy, updatedAt };
}
