import { AppError } from '../../world/errors.ts';
import type { WorldPart, WorldSelection } from '../../world/state-lines.ts';
import type { WorldObject, WorldState } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { PAGE_BYTES_MAX } from './load-object.ts';
import { streamWorld } from './stream-world.ts';

/** Rows of one page of objects; its bytes are bounded too. */
const PAGE_ROWS_MAX = 16_000;
/** How often a read starts again after the world was replaced. */
const ATTEMPTS_MAX = 3;

export type LoadedWorld = WorldState & { rev: number };

/**
 * The whole world as it stood at one moment, or a region of it: what `streamWorld` gives, in one piece.
 * @returns null where there is no such space. @throws state_unsettled where it never holds still long enough.
 */
export async function loadWorld(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  selection: WorldSelection = {},
): Promise<LoadedWorld | null> {
  const reading = { ...selection, pageRowsMax: PAGE_ROWS_MAX, pageBytesMax: PAGE_BYTES_MAX };
  for (let attempt = 1; ; attempt++) {
    const reader = await streamWorld(postgres, tenantId, spaceId, reading);
    if (reader === null) return null;
    try {
      return await collect(reader.parts);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'not_found') return null;
      if (error.code !== 'state_unsettled' || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function collect(parts: AsyncIterable<WorldPart>): Promise<LoadedWorld> {
  const objects = new Map<string, WorldObject>();
  let last = '';
  let inOrder = true;
  for await (const part of parts) {
    if (part.kind === 'metadata') {
      const { kind, space, saved, keptChat, ...rest } = part;
      const list = [...objects.values()];
      if (!inOrder) list.sort((a, b) => (a.id < b.id ? -1 : 1));
      return { space, seq: space.seq, durableSeq: space.seq, objects: list, ...rest };
    }
    if (part.kind === 'moved') for (const id of part.gone) objects.delete(id);
    if (part.kind === 'begin' || part.kind === 'chat') continue;
    for (const object of part.objects) {
      inOrder &&= object.id > last;
      last = object.id;
      objects.set(object.id, object);
    }
  }
  throw new AppError('internal', 'The world ended too early.');
}
