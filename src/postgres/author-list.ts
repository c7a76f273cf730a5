/** The ids of authors, each once: rows name them by their place, counted from 1 as Postgres does. */
export class AuthorList {
  readonly #places = new Map<string, number>();

  /** @param first who is to be at the first place; null leaves that place empty */
  constructor(first?: string | null) {
    if (first !== undefined) this.#ids.push(first);
    if (typeof first === 'string') this.#places.set(first, 1);
  }

  readonly #ids: (string | null)[] = [];

  get ids(): readonly (string | null)[] {
    return this.#ids;
  }

  /** @returns null for nobody. */
  place(id: string | null): number | null {
    if (id === null) return null;
    let place = this.#places.get(id);
    if (place === undefined) {
      place = this.#ids.push(id);
      this.#places.set(id, place);
    }
    return place;
  }
}
