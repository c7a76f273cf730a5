import type { LogAddress } from '../log/log-stores.ts';
import { isAway } from '../world/errors.ts';
import type { WorldView } from '../world/world-view.ts';
import { findUnknownAssets } from './shown-assets.ts';
import type { SpaceMetadata, StateLoader } from './state-stores.ts';

/**
 * Adds people, models and media that the world names since the metadata was loaded. An avatar without a known person is not shown.
 * @returns whether it added something
 */
export async function completeMetadata(
  loader: Pick<StateLoader, 'loadProfiles' | 'loadAssets'>,
  address: LogAddress,
  { view, metadata }: { view: WorldView; metadata: SpaceMetadata },
): Promise<boolean> {
  const { profiles, assets } = metadata;
  const people = [...view.avatars.keys()].filter((id) => !profiles.has(id));
  const unknown = findUnknownAssets({ view, metadata });
  if (people.length + unknown.models.size + unknown.media.size === 0) return false;
  try {
    const [foundPeople, found] = await Promise.all([
      people.length === 0 ? new Map() : loader.loadProfiles(address, people),
      unknown.models.size + unknown.media.size === 0 ? null : loader.loadAssets(address, unknown),
    ]);
    for (const id of people) profiles.set(id, foundPeople.get(id) ?? null);
    for (const [id, model] of found?.models ?? []) assets.models.set(id, model);
    for (const [id, file] of found?.media ?? []) assets.media.set(id, file);
    return true;
  } catch (error) {
    // The world is shown all the same.
    if (!isAway(error)) throw error;
    return false;
  }
}
