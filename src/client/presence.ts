import { Emitter } from './emitter.ts';
import type { WorldkeepError } from './errors.ts';
import type { Requests } from './requests.ts';
import type { PresentUser } from './types.ts';

/** Milliseconds between two requests for the list. */
const REFRESH_MS = 250;
/** Milliseconds after a list that could not be read. */
const RETRY_MS = 5_000;

/** The people who are in the space now: the first 1,000 by id. */
export class Presence {
  readonly #requests: Requests;
  readonly #emitter = new Emitter<{ change: [] }>();
  readonly #closing = new AbortController();
  #users: readonly PresentUser[] = [];
  /** The list may have changed since the last request began. */
  #isDue = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** Sorted by id. The same list until somebody joins or leaves. A list that cannot be read stays as it is. */
  get users(): readonly PresentUser[] {
    return this.#users;
  }

  /** @returns a function that removes the listener */
  on(event: 'change', listener: () => void): () => void {
    return this.#emitter.on(event, listener);
  }

  /** Reads the list again soon. */
  refresh(ms = REFRESH_MS): void {
    this.#isDue = true;
    this.#timer ??= setTimeout(() => void this.#read(), ms);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#closing.abort();
  }

  async #read(): Promise<void> {
    this.#isDue = false;
    const page = await this.#requests
      .sendJson<{ items: PresentUser[] }>('/presence?limit=1000', { signal: this.#closing.signal })
      .catch((error: WorldkeepError) => error);
    this.#timer = null;
    if (this.#closing.signal.aborted) return;
    if ('items' in page) {
      const ids = (list: readonly PresentUser[]) => list.map(({ userId }) => userId).join(' ');
      const isSame = ids(page.items) === ids(this.#users);
      if (!isSame) this.#users = page.items;
      if (!isSame) this.#emitter.emit('change');
      if (this.#isDue) this.refresh();
      // Without a Redis there is no list.
    } else if (!('status' in page) || page.status !== 501) this.refresh(RETRY_MS);
  }
}
