import { orderMembers } from '../world/member-order.ts';
import { isInRegion, type Region } from '../world/region.ts';
import type { StatePart } from '../world/state-lines.ts';
import type { Avatar, Space, Vector3 } from '../world/types.ts';
import type { WorldView } from '../world/world-view.ts';
import { findShownAssets, listAssets } from './shown-assets.ts';
import type { StateOutcome } from './state-parts.ts';

type Shown = Pick<Extract<StateOutcome, { status: 'state' }>, 'view' | 'metadata' | 'durableSeq' | 'spilled'>;

/** A state as JSON. Objects go out as they are held; the rest is small. */
export function writeState(
  { view, metadata, durableSeq, spilled }: Shown,
  include: ReadonlySet<StatePart>,
  region?: Region,
): string {
  const { space, assets } = metadata;
  const seq = spilled === undefined ? view.seq : durableSeq;
  const texts = listObjects(view, region);
  const shownAssets = findShownAssets({ view, metadata }, region && texts);
  const { createdAt, updatedAt, ...rest } = space;
  const shown: Space = { ...rest, seq, createdAt, updatedAt };
  const lists: [StatePart, () => string][] = [
    ['objects', () => `[${texts.join(',')}]`],
    ['users', () => JSON.stringify(listAvatars({ view, metadata }))],
    ['models', () => JSON.stringify(listAssets(shownAssets.models, assets.models))],
    ['media', () => JSON.stringify(listAssets(shownAssets.media, assets.media))],
    ['chat', () => JSON.stringify(view.chat.list())],
  ];
  const members = lists.flatMap(([part, write]) => (include.has(part) ? [`"${part}":${write()}`] : []));
  const head = `"space":${JSON.stringify(shown)},"seq":${seq},"durableSeq":${durableSeq}`;
  const mark = spilled === undefined ? [] : [`"spilled":${spilled}`];
  return `{${[head, ...mark, ...members].join(',')}}`;
}

/** The texts of all objects, or of the objects in a region. */
function listObjects(view: WorldView, region: Region | undefined): string[] {
  const texts = view.listTexts();
  return region === undefined ? texts : texts.filter((text) => isInRegion(region, readPosition(text)));
}

/** The first member of this name is the object's own: properties come behind it, and in a text each quote is escaped. */
const POSITION = /"position":\{"x":([^,]+),"y":([^,]+),"z":([^}]+)\}/;

function readPosition(text: string): Vector3 {
  const [, x, y, z] = POSITION.exec(text) ?? [];
  return { x: Number(x), y: Number(y), z: Number(z) };
}

/** The bodies of people who are known, by their ids. */
function listAvatars({ view, metadata }: Pick<Shown, 'view' | 'metadata'>): Avatar[] {
  const avatars = [...view.avatars.values()].flatMap(({ id, position, rotation, properties, seq }) => {
    const profile = metadata.profiles.get(id);
    return profile ? [{ id, ...profile, position, rotation, properties: orderMembers(properties), seq }] : [];
  });
  return avatars.sort((a, b) => (a.id < b.id ? -1 : 1));
}
