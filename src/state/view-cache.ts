import type { LogAddress } from '../log/log-stores.ts';
import type { Seq } from '../world/types.ts';
import type { WorldView } from '../world/world-view.ts';
import type { SpaceMetadata } from './state-stores.ts';

/** The view and metadata of a space that a process keeps between reads. */
export interface HeldState {
  incarnation: string;
  /** Of the tenant's marks: in another, the view may show what was taken out of it. */
  epoch: string;
  view: WorldView;
  /** The seq that Postgres had when it was last read. */
  durableSeq: Seq;
  /** Milliseconds since 1970: then it was the newest state. */
  currentMs: number;
  /** Under the name that it is kept by in Redis; null: it is of this read alone. */
  metadataId: string | null;
  metadata: SpaceMetadata;
}

/**
 * Characters that a view counts in addition to its texts, and an avatar, a profile, a message or a model: they are objects in
 * memory.
 */
const VIEW_CHARACTERS = 2_000;
const PERSON_CHARACTERS = 500;
const MESSAGE_CHARACTERS = 300;
const ASSET_CHARACTERS = 1_000;

/** The views that were read last, as many as fit. */
export class ViewCache {
  readonly #charactersMax: number;
  readonly #held = new Map<string, { state: HeldState; characters: number }>();
  #characters = 0;

  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax;
  }

  get(address: LogAddress): HeldState | null {
    return this.#held.get(toName(address))?.state ?? null;
  }

  put(address: LogAddress, state: HeldState): void {
    this.drop(address);
    const characters = countCharacters(state);
    this.#held.set(toName(address), { state, characters });
    this.#characters += characters;
    // The one read longest ago goes first.
    for (const [oldest, { characters }] of this.#held) {
      if (this.#characters <= this.#charactersMax) break;
      this.#held.delete(oldest);
      this.#characters -= characters;
    }
  }

  drop(address: LogAddress): void {
    const name = toName(address);
    this.#characters -= this.#held.get(name)?.characters ?? 0;
    this.#held.delete(name);
  }
}

/** Characters of the space in metadata: it does not change after loading. */
const countedMetadata = new WeakMap<SpaceMetadata, number>();

function countCharacters({ view, metadata }: HeldState): number {
  let characters = VIEW_CHARACTERS + view.characters + metadata.profiles.size * PERSON_CHARACTERS;
  for (const { text } of view.chat.keep().messages) characters += MESSAGE_CHARACTERS + text.length;
  for (const { properties } of view.avatars.values())
    characters += PERSON_CHARACTERS + JSON.stringify(properties).length;
  const { space, assets } = metadata;
  const counted = countedMetadata.get(metadata) ?? JSON.stringify(space).length;
  countedMetadata.set(metadata, counted);
  return characters + counted + (assets.models.size + assets.media.size) * ASSET_CHARACTERS;
}

function toName({ tenantId, spaceId }: LogAddress): string {
  return `${tenantId}!${spaceId}`;
}
