import { WorldkeepError } from './errors.ts';
import { createMemoryStore, type OutboxRecord, type OutboxStore } from './outbox-store.ts';
import { type Parcel, toRecord } from './parcel.ts';

/** Writes the changes of the queue to its store: in order, and together. A change that the store cannot take is only in memory. */
export class OutboxSaver {
  readonly #openStore: () => Promise<OutboxStore>;
  readonly #onLost: (error: WorldkeepError) => void;
  #store = createMemoryStore();
  /** The store has failed, and the caller knows. */
  #isLost = false;
  readonly #unsaved = new Set<Parcel>();
  #removed: number[] = [];
  #saving: Promise<void> = Promise.resolve();
  /** The next write has not begun. */
  #isDue = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(openStore: () => Promise<OutboxStore>, onLost: (error: WorldkeepError) => void) {
    this.#openStore = openStore;
    this.#onLost = onLost;
  }

  /** @returns what earlier clients left */
  open(): Promise<OutboxRecord[]> {
    return this.#try(
      async () => {
        this.#store = await this.#openStore();
        return this.#store.open();
      },
      () => {
        this.#store.close();
        this.#store = createMemoryStore();
      },
    );
  }

  /** @param next the first free place. @returns what clients left that have ended since */
  adopt(next: number): Promise<OutboxRecord[]> {
    return this.#try(async () => this.#store.adopt?.(next) ?? []);
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

  /** Resolves when the store has all changes. Changes that are made during a write wait for one next write, however many they are. */
  save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isDue && this.#unsaved.size + this.#removed.length > 0) {
      this.#isDue = true;
      this.#saving = this.#saving.then(() => this.#write());
    }
    return this.#saving;
  }

  async #write(): Promise<void> {
    this.#isDue = false;
    const [records, removed] = [[...this.#unsaved].map(toRecord), this.#removed];
    this.#unsaved.clear();
    this.#removed = [];
    const work = async () => {
      await this.#store.write(records, removed);
      if (records.length > 0) this.#isLost = false;
      return [];
    };
    // An older record of a parcel that has been sent since would send it twice after a reload.
    const undo = () => this.#store.write([], [...removed, ...records.map(({ n }) => n)]);
    await this.#try(work, undo);
  }

  async close(): Promise<void> {
    await this.save();
    this.#store.close();
  }

  #saveSoon(): void {
    this.#timer ??= setTimeout(() => void this.save(), 0);
  }

  /** @param undo after a failure */
  async #try(
    work: () => Promise<OutboxRecord[]>,
    undo: () => Promise<void> | void = () => undefined,
  ): Promise<OutboxRecord[]> {
    try {
      return await work();
    } catch (cause) {
      await Promise.resolve()
        .then(undo)
        .catch(() => undefined);
      if (!this.#isLost)
        this.#onLost(
          new WorldkeepError(
            'outbox_unavailable',
            'Unsent changes cannot be stored: they are lost with the page.',
            { cause },
          ),
        );
      this.#isLost = true;
      return [];
    }
  }
}
