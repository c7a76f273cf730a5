import type { LogAddress } from './log-stores.ts';
import type { Around } from './state-stores.ts';
import type { WorldView } from './world/world-view.ts';

/** What a process holds of a space from one read to the next. */
export interface HeldState {
  incarnation: string;
  /** Of the tenant's marks: in another, the view may show what was taken out of it. */
  epoch: string;
  view: WorldView;
  /** Under the name that it is kept by in Redis; null: it is of this read alone. */
  aroundId: string | null;
  around: Around;
}

/** The views that were read last, as many as fit. */
export class ViewCache {
  readonly #charactersMax: number;
  readonly #held = new Map<string, HeldState>();

  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax;
  }

  get(address: LogAddress): HeldState | null {
    return this.#held.get(toName(address)) ?? null;
  }

  put(address: LogAddress, held: HeldState): void {
    const name = toName(address);
    this.#held.delete(name);
    this.#held.set(name, held);
    let characters = 0;
    for (const { view } of this.#held.values()) characters += view.characters;
    // The one read longest ago goes first.
    for (const [oldest, { view }] of this.#held) {
      if (characters <= this.#charactersMax) break;
      this.#held.delete(oldest);
      characters -= view.characters;
    }
  }

  drop(address: LogAddress): void {
    this.#held.delete(toName(address));
  }
}

function toName({ tenantId, spaceId }: LogAddress): string {
  return `${tenantId}!${spaceId}`;
}
