import type { JsonObject } from '../../world/types.ts';
import { isMembers, type Members } from './json-text.ts';

/** The object that a node was, by its extras. */
export interface KeptObject {
  /** Null for the copy of another node, which is a new object. */
  id: string | null;
  modelId: string | null;
  properties: JsonObject;
  /** Of a root whose parent is no node. */
  parentId: string | null;
}

/**
 * `extras.worldkeep` of each node, as writeGltf leaves it; null for a node that has none. Programs that copy a node copy its
 * id as well: the first node with an id is the object, the others are copies of it.
 */
export function readKept(nodes: readonly Members[]): (KeptObject | null)[] {
  const seen = new Set<string>();
  return nodes.map(({ extras }) => {
    const kept = readWorldkeep(extras);
    if (kept === null || typeof kept.id !== 'string') return null;
    const isCopy = seen.has(kept.id);
    seen.add(kept.id);
    return {
      id: isCopy ? null : kept.id,
      modelId: typeof kept.modelId === 'string' ? kept.modelId : null,
      properties: isMembers(kept.properties) ? (kept.properties as JsonObject) : {},
      parentId: typeof kept.parentId === 'string' ? kept.parentId : null,
    };
  });
}

/** The id of the object whose model a node is a part of; null for any other node. */
export function readShapeOf({ extras }: Members): string | null {
  const { shapeOf } = readWorldkeep(extras) ?? {};
  return typeof shapeOf === 'string' ? shapeOf : null;
}

/** The models and media that the file's own extras name, as a world has them. */
export function readKeptAssets({ extras }: Members): JsonObject {
  const { models, media } = (readWorldkeep(extras) ?? {}) as JsonObject;
  return {
    ...(Array.isArray(models) && { models }),
    ...(Array.isArray(media) && { media }),
  };
}

/** The space that the file was exported from, or null. */
export function readKeptSpace({ extras }: Members): Members | null {
  const { space } = readWorldkeep(extras) ?? {};
  return isMembers(space) ? space : null;
}

function readWorldkeep(extras: unknown): Members | null {
  return isMembers(extras) && isMembers(extras.worldkeep) ? extras.worldkeep : null;
}
