import { ID_PATTERN } from './schemas.ts';
import type { JsonObject, ObjectInput } from './types.ts';

/** The ids of models and media that something references. */
export interface AssetIds {
  models: Set<string>;
  media: Set<string>;
}

export function noAssets(): AssetIds {
  return { models: new Set(), media: new Set() };
}

/**
 * Adds the references of an object: `modelId`, and `mediaId` or `mediaIds` of its properties.
 * @param text the object as a state shows it, as JSON
 */
export function addObjectReferences(ids: AssetIds, text: string): void {
  const modelId = readModelId(text);
  if (modelId !== null) ids.models.add(modelId);
  // Nearly no object references media: only those are parsed.
  if (text.includes('"mediaId')) addMedia(ids, (JSON.parse(text) as { properties: JsonObject }).properties);
}

/** The same for an object that is not text. */
export function addReferences(
  ids: AssetIds,
  { modelId, properties }: Pick<ObjectInput, 'modelId' | 'properties'>,
): void {
  if (modelId !== null) ids.models.add(modelId);
  addMedia(ids, properties);
}

/** Adds the references of an avatar: `modelId`, `mediaId` and `mediaIds` of its properties. */
export function addAvatarReferences(ids: AssetIds, properties: JsonObject): void {
  const { modelId } = properties;
  if (isId(modelId)) ids.models.add(modelId);
  addMedia(ids, properties);
}

function addMedia({ media }: AssetIds, { mediaId, mediaIds }: JsonObject): void {
  if (isId(mediaId)) media.add(mediaId);
  if (Array.isArray(mediaIds)) for (const id of mediaIds) if (isId(id)) media.add(id);
}

/** How many objects reference each model and media file. */
export class ReferenceCounts {
  readonly models = new Map<string, number>();
  readonly media = new Map<string, number>();

  /** @param by 1 for an object that is there now, -1 for one that is gone. @param text the object as JSON */
  add(text: string, by: 1 | -1): void {
    const ids = noAssets();
    addObjectReferences(ids, text);
    for (const kind of ['models', 'media'] as const)
      for (const id of ids[kind]) {
        const count = (this[kind].get(id) ?? 0) + by;
        if (count === 0) this[kind].delete(id);
        else this[kind].set(id, count);
      }
  }
}

const MODEL = ',"modelId":';

/** The first such member is the object's own: only its id and its name come before, and in a name each quote is escaped. */
function readModelId(text: string): string | null {
  const from = text.indexOf(MODEL) + MODEL.length;
  if (from < MODEL.length || text[from] !== '"') return null;
  return text.slice(from + 1, text.indexOf('"', from + 1));
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID_PATTERN.test(value);
}
