import { isDeepStrictEqual } from 'node:util';
import { countOf } from '../helpers/counts.ts';
import type { JsonObject, SaveMode } from '../world/types.ts';
import { type Api, NDJSON, type SpaceAnswer } from './api.ts';
import { CommandError } from './errors.ts';
import { describeDocument, putDocument } from './formats/gltf-document.ts';
import type { Loss, Scene } from './formats/scene.ts';
import { writeWorldLines } from './state-lines.ts';

/**
 * Puts what a file says of itself into `settings.gltf` of a space that was there, which keeps its other settings. A merge
 * leaves them to the world that was there. @returns the parts that are not kept
 */
export async function keepDocument(
  api: Api,
  { id, name, description, settings, bounds }: SpaceAnswer,
  { document }: Scene,
  mode: SaveMode,
): Promise<readonly Loss[]> {
  const { gltf = {}, ...others } = settings;
  if (document === undefined || isDeepStrictEqual(gltf, document)) return [];
  if (mode === 'merge') return describeDocument(document);
  const fitting = putDocument(others, document);
  await afterWorld(`settings.gltf of space ${id} could not be saved`, () =>
    api.putSpace(id, { name, description, settings: fitting.settings, bounds }),
  );
  return fitting.losses;
}

/** Saves the messages for which the world's own save had no room. Doing it twice is harmless: a message has its id. */
export async function putOlderChat(api: Api, space: string, batches: readonly JsonObject[][]): Promise<void> {
  for (const [index, chat] of batches.entries()) {
    const left = batches.slice(index).flat().length;
    const { bytes } = writeWorldLines({ objects: [], chat });
    await afterWorld(`${countOf(left, 'older message')} could not be saved`, () =>
      api.putState(space, 'merge', { bytes, type: NDJSON }, () => undefined),
    );
  }
}

async function afterWorld(what: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the world was imported, but ${what}: ${reason}; import the file again`;
    throw new CommandError('imported_in_part', message, {}, cause);
  }
}
