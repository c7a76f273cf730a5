import { type AssetIds, addAvatarReferences, addObjectReferences } from '../world/asset-references.ts';
import type { Asset } from '../world/types.ts';
import type { WorldView } from '../world/world-view.ts';
import type { SpaceMetadata } from './state-stores.ts';

interface Shown {
  view: WorldView;
  metadata: SpaceMetadata;
}

/**
 * The ids of the models and media in a state: its objects and avatars reference them, or they were saved with the world.
 * @param texts the objects, if the state has not all of them
 */
export function findShownAssets({ view, metadata }: Shown, texts?: readonly string[]): AssetIds {
  const { saved } = metadata;
  const ids = { models: new Set(saved.models), media: new Set(saved.media) };
  if (texts === undefined) {
    for (const id of view.references.models.keys()) ids.models.add(id);
    for (const id of view.references.media.keys()) ids.media.add(id);
  } else for (const text of texts) addObjectReferences(ids, text);
  for (const { properties } of view.avatars.values()) addAvatarReferences(ids, properties);
  return ids;
}

/** The ids in a state that the metadata does not know yet. */
export function findUnknownAssets({ view, metadata }: Shown): AssetIds {
  const { models, media } = findShownAssets({ view, metadata });
  const { assets } = metadata;
  return {
    models: new Set([...models].filter((id) => !assets.models.has(id))),
    media: new Set([...media].filter((id) => !assets.media.has(id))),
  };
}

/** Whether the metadata knows every person, model and media file of the state. */
export function isComplete({ view, metadata }: Shown): boolean {
  const unknown = findUnknownAssets({ view, metadata });
  if (unknown.models.size + unknown.media.size > 0) return false;
  return [...view.avatars.keys()].every((id) => metadata.profiles.has(id));
}

/** The known ones among these ids, sorted by id. */
export function listAssets(ids: ReadonlySet<string>, known: ReadonlyMap<string, Asset | null>): Asset[] {
  return [...ids].sort().flatMap((id) => known.get(id) ?? []);
}
