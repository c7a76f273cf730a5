import { and, eq, sql } from 'drizzle-orm';
import type { LogAddress } from '../../log/log-stores.ts';
import type {
  KnownAssets,
  LoadedWorld,
  Profile,
  SpaceMetadata,
  StateLoader,
} from '../../state/state-stores.ts';
import {
  type AssetIds,
  addAvatarReferences,
  addObjectReferences,
  noAssets,
} from '../../world/asset-references.ts';
import { AppError } from '../../world/errors.ts';
import type { WorldPart } from '../../world/state-lines.ts';
import type { Asset, Avatar, WorldObject } from '../../world/types.ts';
import { toTexts } from '../array-literal.ts';
import type { Postgres } from '../client.ts';
import { users } from '../schema/people.ts';
import { loadAssets } from './load-assets.ts';
import { PAGE_BYTES_MAX } from './load-object.ts';
import { selectObjectTexts, type TextRow, toObjectTexts } from './object-texts.ts';
import { AROUND_RESULTS, selectMetadata, toMetadata as toWholeMetadata } from './select-metadata.ts';
import { streamWorld } from './stream-world.ts';

/** Rows of one page of objects; its bytes are bounded too. */
const PAGE_ROWS_MAX = 16_000;
/** How often a read starts again after the world was replaced. */
const ATTEMPTS_MAX = 3;

/** The store of SpaceState, on Postgres. */
export function createStateLoader(postgres: Postgres): StateLoader {
  return {
    loadWorld: (address, charactersMax) => loadSnapshot(postgres, address, charactersMax),
    async loadMetadata({ tenantId, spaceId }) {
      for (let attempt = 1; ; attempt++) {
        const reader = await streamWorld(postgres, tenantId, spaceId, { withObjects: false });
        if (reader === null) return null;
        try {
          for await (const part of reader.parts)
            if (part.kind === 'metadata') return toMetadata(part, toKnown(part));
        } catch (error) {
          if (!isUnsettled(error) || attempt === ATTEMPTS_MAX) throw error;
        }
      }
    },
    loadProfiles: ({ tenantId }, ids) => loadProfiles(postgres, tenantId, ids),
    loadAssets: ({ tenantId }, ids) => findAssets(postgres, tenantId, ids),
  };
}

/** A world as it stood at one moment. */
async function loadSnapshot(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  charactersMax: number,
): Promise<LoadedWorld | 'too_large' | null> {
  const loaded = await loadInOne(postgres, { tenantId, spaceId });
  if (loaded !== 'larger') return isTooLarge(loaded, charactersMax) ? 'too_large' : loaded;
  const reading = { pageRowsMax: PAGE_ROWS_MAX, pageBytesMax: PAGE_BYTES_MAX };
  for (let attempt = 1; ; attempt++) {
    try {
      const reader = await streamWorld(postgres, tenantId, spaceId, reading);
      if (reader === null) return null;
      return await collect(reader.parts, charactersMax);
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_found') return null;
      if (!isUnsettled(error) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** Nearly every world: one page, and so one transaction. */
async function loadInOne(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
): Promise<LoadedWorld | 'larger' | null> {
  const results = await postgres.inTenant(
    tenantId,
    (db) => [...selectMetadata(db, tenantId, spaceId), selectObjectTexts(db, spaceId, PAGE_ROWS_MAX)],
    'snapshot',
  );
  const metadata = toWholeMetadata(results);
  if (metadata === null) return null;
  const rows: TextRow[] = results[AROUND_RESULTS];
  const { more, generationSeq, space } = metadata;
  if (rows.at(-1)?.id !== null || more.avatars) return 'larger';
  const avatars = new Map(metadata.users.map((avatar) => [avatar.id, toReplayed(avatar)]));
  const objects = toObjectTexts(rows, spaceId, generationSeq);
  const wanted = noAssets();
  for (const text of objects.values()) addObjectReferences(wanted, text);
  for (const { properties } of metadata.users) addAvatarReferences(wanted, properties);
  for (const kind of ['models', 'media'] as const)
    for (const id of metadata.saved[kind]) wanted[kind].add(id);
  const assets = await findAssets(postgres, tenantId, wanted);
  return {
    seq: space.seq,
    avatars,
    chat: metadata.chat,
    metadata: toMetadata(metadata, assets),
    objects,
  };
}

function isTooLarge(loaded: LoadedWorld | null, charactersMax: number): boolean {
  let characters = 0;
  for (const text of loaded?.objects.values() ?? []) characters += text.length;
  return characters > charactersMax;
}

async function collect(
  parts: AsyncIterable<WorldPart>,
  charactersMax: number,
): Promise<LoadedWorld | 'too_large'> {
  const objects = new Map<string, string>();
  let characters = 0;
  const add = (object: WorldObject) => {
    const text = JSON.stringify(object);
    characters += text.length - (objects.get(object.id)?.length ?? 0);
    objects.set(object.id, text);
  };
  for await (const part of parts) {
    if (part.kind === 'metadata') {
      const avatars = new Map(part.users.map((avatar) => [avatar.id, toReplayed(avatar)]));
      const { space, keptChat } = part;
      const metadata = toMetadata(part, toKnown(part));
      return { seq: space.seq, objects, avatars, chat: keptChat, metadata };
    }
    if (part.kind === 'begin' || part.kind === 'chat') continue;
    if (part.kind === 'moved')
      for (const id of part.gone) {
        characters -= objects.get(id)?.length ?? 0;
        objects.delete(id);
      }
    for (const object of part.objects) add(object);
    if (characters > charactersMax) return 'too_large';
  }
  throw new AppError('internal', 'The world ended too early.');
}

function toReplayed({ id, position, rotation, properties, seq }: Avatar) {
  return { id, position, rotation, properties, seq };
}

function toMetadata(
  {
    rev,
    space,
    users,
    saved,
  }: Pick<Extract<WorldPart, { kind: 'metadata' }>, 'rev' | 'space' | 'users' | 'saved'>,
  assets: KnownAssets,
): SpaceMetadata {
  const { seq, ...rest } = space;
  const profiles = users.map(({ id, displayName, avatarUrl }) => [id, { displayName, avatarUrl }] as const);
  const present = new Set(users.map(({ id }) => id));
  return {
    rev,
    seq,
    space: rest,
    present,
    saved,
    assets,
    profiles: new Map<string, Profile | null>(profiles),
  };
}

/** Unknown ids are null. */
async function findAssets(postgres: Postgres, tenantId: string, ids: AssetIds): Promise<KnownAssets> {
  const found = await loadAssets(postgres, tenantId, { models: [...ids.models], media: [...ids.media] });
  const known = toKnown(found);
  for (const kind of ['models', 'media'] as const)
    for (const id of ids[kind]) if (!known[kind].has(id)) known[kind].set(id, null);
  return known;
}

function toKnown({ models, media }: { models: readonly Asset[]; media: readonly Asset[] }): KnownAssets {
  const index = (list: readonly Asset[]) =>
    new Map<string, Asset | null>(list.map((asset) => [asset.id, asset]));
  return { models: index(models), media: index(media) };
}

async function loadProfiles(
  postgres: Postgres,
  tenantId: string,
  ids: readonly string[],
): Promise<Map<string, Profile>> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ id: users.userId, displayName: users.displayName, avatarUrl: users.avatarUrl })
        .from(users)
        .where(and(eq(users.tenantId, tenantId), sql`${users.userId} = any(${toTexts([...ids])}::text[])`)),
    ],
    'snapshot',
  );
  return new Map(rows.map(({ id, ...profile }) => [id, profile]));
}

function isUnsettled(error: unknown): boolean {
  return error instanceof AppError && error.code === 'state_unsettled';
}
