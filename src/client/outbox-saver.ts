import { WorldkeepError } from './errors.ts';
import { createMemoryStore, type OutboxRecord, type OutboxStore } from './outbox-store.ts';
import { type Parcel, toRecord } from './parcel.ts';

/** Writes the changes of the queue to its store: in order, and together. If the store fails, the queue is only in memory. */
export class OutboxSaver {
  readonly #openStore: () => Promise<OutboxStore>;
  readonly #onLost: (error: WorldkeepError) => void;
  #store = createMemoryStore();
  #isClosed = false;
  #unsaved = new Set<Parcel>();
  #removed: number[] = [];
  #saving: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(openStore: () => Promise<OutboxStore>, onLost: (error: WorldkeepError) => void) {
    this.#openStore = openStore;
    this.#onLost = onLost;
  }

  /** @returns what earlier clients left */
  open(): Promise<OutboxRecord[]> {
    return this.#keep(async () => {
      this.#store = await this.#openStore();
      return this.#store.open();
    });
  }

  /** @param next the first free place. @returns what clients left that have ended since */
  adopt(next: number): Promise<OutboxRecord[]> {
    return this.#keep(async () => this.#store.adopt?.(next) ?? []);
  }

  /** Saves the parcel soon, as it is then. */
  set(parcel: Parcel): void {
    this.#unsaved.add(parcel);
    this.#saveSoon();
  }

  remove(parcel: Parcel): void {
    this.#unsaved.delete(parcel);
    this.#removed.push(parcel.n);
    this.#saveSoon();
  }

  /** Resolves when the store has all changes. */
  save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [parcels, removed] = [[...this.#unsaved], this.#removed];
    this.#unsaved.clear();
    this.#removed = [];
    if (parcels.length > 0 || removed.length > 0) {
      const records = parcels.map(toRecord);
      this.#saving = this.#saving.then(async () => {
        await this.#keep(async () => {
          await this.#store.write(records, removed);
          return [];
        });
      });
    }
    return this.#saving;
  }

  async close(): Promise<void> {
    await this.save();
    this.#isClosed = true;
    this.#store.close();
  }

  #saveSoon(): void {
    this.#timer ??= setTimeout(() => void this.save(), 0);
  }

  async #keep(work: () => Promise<OutboxRecord[]>): Promise<OutboxRecord[]> {
    try {
      return await work();
    } catch (cause) {
      if (this.#isClosed) return [];
      this.#store.close();
      this.#store = createMemoryStore();
      this.#onLost(
        new WorldkeepError(
          'outbox_unavailable',
          'IndexedDB is full or blocked: unsent changes are lost with the page.',
          { cause },
        ),
      );
      return [];
    }
  }
}
