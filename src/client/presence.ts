import { Emitter } from './emitter.ts';
import type { Requests } from './requests.ts';
import type { PresentUser } from './types.ts';

/** Milliseconds between two requests for the list. */
const REFRESH_MS = 250;

/** The people who are in the space now: the first 1,000 by id. */
export class Presence {
  readonly #requests: Requests;
  readonly #emitter = new Emitter<{ change: [] }>();
  readonly #closing = new AbortController();
  #users: readonly PresentUser[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** Sorted by id. The same list until somebody joins or leaves. */
  get users(): readonly PresentUser[] {
    return this.#users;
  }

  /** @returns a function that removes the listener */
  on(event: 'change', listener: () => void): () => void {
    return this.#emitter.on(event, listener);
  }

  /** Reads the list again soon. A list that cannot be read stays as it is. */
  refresh(): void {
    this.#timer ??= setTimeout(async () => {
      this.#timer = null;
      const page = await this.#requests
        .sendJson<{ items: PresentUser[] }>('/presence?limit=1000', { signal: this.#closing.signal })
        .catch(() => null);
      if (page === null) return;
      const ids = (list: readonly PresentUser[]) => list.map(({ userId }) => userId).join(' ');
      if (ids(page.items) === ids(this.#users)) return;
      this.#users = page.items;
      this.#emitter.emit('change');
    }, REFRESH_MS);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#closing.abort();
  }
}
