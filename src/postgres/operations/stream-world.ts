import { and, asc, eq, gt, notExists, sql } from 'drizzle-orm';
import { type AssetIds, addAvatarReferences, addReferences, noAssets } from '../../world/asset-references.ts';
import { ChatWindow } from '../../world/chat-window.ts';
import { AppError, notFound } from '../../world/errors.ts';
import { LIMITS } from '../../world/limits.ts';
import { isInRegion } from '../../world/region.ts';
import type { WorldPart, WorldReader, WorldSelection } from '../../world/state-lines.ts';
import type { Seq, WorldObject } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { type ObjectRow, toWorldObject } from '../rows.ts';
import { objectRemovals, worldObjects } from '../schema/spaces.ts';
import { loadAssets, type WantedAssets } from './load-assets.ts';
import { selectObjectsPage, takeEnd } from './load-object.ts';
import { type Page, readPage, selectPage, type WorldReading } from './object-pages.ts';
import { readOlderChat } from './older-chat.ts';
import {
  AROUND_RESULTS,
  completeAvatars,
  type SpaceMetadata,
  selectMetadata,
  selectVersion,
  toMetadata,
} from './select-metadata.ts';

/** By default. Small, so that a page is garbage soon and memory stays low: measured by `npm run bench:stream`. */
const PAGE_ROWS_MAX = 2_000;
const PAGE_BYTES_MAX = 750_000;
/** Ids of removed objects read at a time. */
const REMOVALS_MAX = 10_000;
/** How many rounds read the changes, each only the changes since the last round. */
const ROUNDS_MAX = 20;

/**
 * Reads a world page by page, as it is at the moment of the last part. A world of one page is one transaction. A larger world changes
 * while it is read. So the changes are read next, then the changes during that, until there are none. Each round is shorter than the one
 * before. @returns null if the space does not exist.
 * The parts @throws state_unsettled where the world is replaced meanwhile, or never holds still; not_found where it goes.
 */
export async function streamWorld(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  {
    pageRowsMax = PAGE_ROWS_MAX,
    pageBytesMax = PAGE_BYTES_MAX,
    ...what
  }: WorldSelection & Partial<WorldReading>,
): Promise<WorldReader | null> {
  const reading = { ...what, pageRowsMax, pageBytesMax };
  const hasObjects = reading.withObjects !== false;
  const results = await postgres.inTenant(
    tenantId,
    (db) => [
      ...selectMetadata(db, tenantId, spaceId),
      ...(hasObjects ? [selectPage(db, spaceId, reading, '')] : []),
    ],
    'snapshot',
  );
  const metadata = toMetadata(results);
  if (metadata === null) return null;
  const first = hasObjects ? readPage(results[AROUND_RESULTS] ?? []) : { rows: [], next: null };
  const source = { postgres, tenantId, spaceId, reading, references: noAssets() };
  const parts = readOn(source, metadata, first);
  return { seq: metadata.space.seq, rev: metadata.rev, parts };
}

interface Source {
  /** The models and media that the objects read so far reference. */
  references: AssetIds;
  postgres: Postgres;
  tenantId: string;
  spaceId: string;
  reading: WorldReading;
}

async function* readOn(source: Source, begun: SpaceMetadata, first: Page): AsyncGenerator<WorldPart> {
  yield { kind: 'begin', space: begun.space, rev: begun.rev };
  const show = (rows: ObjectRow[]) => toObjects(source, rows, begun.generationSeq);
  yield { kind: 'objects', objects: show(first.rows) };
  if (first.next === null) {
    yield* toLastParts(source, begun);
    return;
  }
  for (let after: string | null = first.next; after !== null; ) {
    const page: Page = await loadPage(source, begun, after);
    yield { kind: 'objects', objects: show(page.rows) };
    after = page.next;
  }
  yield* catchUp(source, begun);
}

async function loadPage(source: Source, begun: SpaceMetadata, after: string): Promise<Page> {
  const { postgres, tenantId, spaceId, reading } = source;
  const [[version], rows] = await postgres.inTenant(
    tenantId,
    (db) => [selectVersion(db, tenantId, spaceId), selectPage(db, spaceId, reading, after)],
    'snapshot',
  );
  checkSameWorld(begun, version);
  return readPage(rows);
}

/** From pages read at different moments to the world of one. */
async function* catchUp(source: Source, begun: SpaceMetadata): AsyncGenerator<WorldPart> {
  const { postgres, tenantId, spaceId } = source;
  let since = begun.space.seq;
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const results = await postgres.inTenant(
      tenantId,
      (db) => [...selectMetadata(db, tenantId, spaceId), ...selectChanges(source, db, begun, since)],
      'snapshot',
    );
    const metadata = toMetadata(results) ?? undefined;
    checkSameWorld(begun, metadata);
    const { seq } = metadata.space;
    // Behind this, removals may have been forgotten.
    if (seq - since > LIMITS.removalsKeptMs * 1_000) break;
    let changes = readChanges(source, begun, [results[6], results[7]]);
    if (seq > since) yield { kind: 'moved', space: metadata.space, ...changes.shown };
    if (changes.next === null) {
      yield* toLastParts(source, metadata);
      return;
    }
    for (let place: ChangesPlace | null = changes.next; place !== null; place = changes.next) {
      const from: ChangesPlace = place;
      const [[version], ...page] = await postgres.inTenant(
        tenantId,
        (db) => [selectVersion(db, tenantId, spaceId), ...selectChanges(source, db, begun, since, from)],
        'snapshot',
      );
      checkSameWorld(begun, version);
      changes = readChanges(source, begun, page);
      yield { kind: 'moved', space: metadata.space, ...changes.shown };
    }
    since = seq;
  }
  throw new AppError('state_unsettled', 'The world moves faster than it can be read.', {
    retryAfterSeconds: 1,
  });
}

interface ChangesPlace {
  gone: string;
  changed: string;
}

function selectChanges(
  { spaceId, reading }: Source,
  db: Database,
  { world }: SpaceMetadata,
  since: Seq,
  after: ChangesPlace = { gone: '', changed: '' },
) {
  const { pageRowsMax, pageBytesMax } = reading;
  const removed = db
    .select({ id: objectRemovals.objectId })
    .from(objectRemovals)
    .where(
      and(
        eq(objectRemovals.world, world),
        gt(objectRemovals.seq, since),
        gt(objectRemovals.objectId, after.gone),
        // An object that was deleted and created again is among the changed ones.
        notExists(
          db
            .select({ one: sql`1` })
            .from(worldObjects)
            .where(
              and(
                eq(worldObjects.world, objectRemovals.world),
                eq(worldObjects.objectId, objectRemovals.objectId),
              ),
            ),
        ),
      ),
    )
    .orderBy(asc(objectRemovals.objectId))
    .limit(REMOVALS_MAX);
  const page = { after: after.changed, rowsMax: pageRowsMax, bytesMax: pageBytesMax, since };
  const changed = selectObjectsPage(db, spaceId, page);
  return [removed, changed] as const;
}

function readChanges(
  source: Source,
  { generationSeq }: SpaceMetadata,
  [removed, changed]: readonly [{ id: string }[], ObjectRow[]],
): { shown: { gone: string[]; objects: WorldObject[] }; next: ChangesPlace | null } {
  const { rows, ended } = takeEnd(changed);
  const gone = removed.map(({ id }) => id);
  const objects = rows.map((row) => toWorldObject(row, source.spaceId, generationSeq));
  const { region } = source.reading;
  const inside = region === undefined ? objects : objects.filter((o) => isInRegion(region, o.position));
  for (const object of inside) addReferences(source.references, object);
  // An object that left the region counts as deleted. It does not matter if it was never in the region.
  if (region !== undefined)
    for (const { id, position } of objects) if (!isInRegion(region, position)) gone.push(id);
  const more = removed.length >= REMOVALS_MAX;
  const next =
    ended && !more
      ? null
      : {
          gone: (more ? removed.at(-1)?.id : undefined) ?? LAST_ID,
          changed: (ended ? undefined : rows.at(-1)?.objectId) ?? LAST_ID,
        };
  return { shown: { gone, objects: inside }, next };
}

/** Behind every id: nothing more is read there. */
const LAST_ID = '~';

/** @throws state_unsettled, not_found where what is read is not the world any more that was begun. */
function checkSameWorld<Now extends { world: string }>(
  begun: SpaceMetadata,
  now: Now | undefined,
): asserts now is Now {
  if (now === undefined) throw notFound('this space');
  if (now.world === begun.world) return;
  throw new AppError('state_unsettled', 'The world was replaced while it was read.', {
    retryAfterSeconds: 1,
  });
}

function toObjects(
  { spaceId, reading, references }: Source,
  rows: ObjectRow[],
  generationSeq: Seq,
): WorldObject[] {
  const objects = rows.map((row) => toWorldObject(row, spaceId, generationSeq));
  const { region } = reading;
  const shown =
    region === undefined ? objects : objects.filter(({ position }) => isInRegion(region, position));
  for (const object of shown) addReferences(references, object);
  return shown;
}

/** The models and media of a state. An object that changed while the world was read may have referenced one more. */
function findWanted({ users, saved }: SpaceMetadata, { models, media }: AssetIds): WantedAssets {
  const wanted = {
    models: new Set([...models, ...saved.models]),
    media: new Set([...media, ...saved.media]),
  };
  for (const { properties } of users) addAvatarReferences(wanted, properties);
  return { models: [...wanted.models], media: [...wanted.media] };
}

/** @throws state_unsettled where a list too long for one answer moved while the rest of it was read. */
async function* toLastParts(
  { postgres, tenantId, spaceId, reading, references }: Source,
  metadata: SpaceMetadata,
): AsyncGenerator<WorldPart> {
  if (!(await completeAvatars(postgres, tenantId, spaceId, metadata)))
    throw new AppError('state_unsettled', 'The world changed while it was read.', { retryAfterSeconds: 1 });
  const { world, generationSeq, more, saved, chat: keptChat, ...shown } = metadata;
  const { models, media } = await loadAssets(postgres, tenantId, findWanted(metadata, references));
  const chat = new ChatWindow(keptChat).list();
  const [oldest] = chat;
  if (reading.withAllChat && oldest !== undefined)
    for await (const messages of readOlderChat(postgres, tenantId, metadata.space, oldest))
      yield { kind: 'chat', messages };
  yield { kind: 'metadata', ...shown, models, media, saved, chat, keptChat };
}
