import type { WorldState } from '../../world/types.ts';
import { checkWorld } from '../../world/world-input.ts';
import { readScene } from '../formats/read-scene.ts';
import type { Scene } from '../formats/scene.ts';

const TIME = '2026-01-02T03:04:05.678Z';
const ABOUT_WRITING = { seq: 1, createdAt: TIME };

/** Reads a document as `worldkeep import` reads a file. */
export function readDocument(document: unknown, stem = 'town', idStamp?: string): Promise<Scene> {
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  return readScene(bytes, { file: `${stem}.gltf`, stem, idStamp });
}

/** The state that a server gives of a scene that was imported into a new space: the same checks, no store. */
export function stateOf(scene: Scene): WorldState {
  const { objects, users = [], models, media, chat } = checkWorld(scene.world);
  const { name, description = null, settings = {}, bounds = null } = scene.space;
  const space = { id: 'copy', name, description, settings, bounds, updatedAt: TIME, ...ABOUT_WRITING };
  return JSON.parse(
    JSON.stringify({
      space,
      seq: 1,
      durableSeq: 1,
      objects: objects
        .map((object) => ({ ...object, spaceId: 'copy', updatedBy: null, updatedAt: TIME, ...ABOUT_WRITING }))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      users: users.map((user) => ({ ...user, seq: 1 })),
      models: models.map((model) => ({ ...model, createdAt: TIME })),
      media: media.map((item) => ({ ...item, createdAt: TIME })),
      chat: chat.map((message) => ({ ...message, seq: 1, createdAt: message.createdAt ?? TIME })),
    }),
  );
}

/** The parts of a state that a file must restore. */
export function contentOf({ space, objects, models, media }: WorldState) {
  const { name, description, settings, bounds } = space;
  return { space: { name, description, settings, bounds }, objects: byId(objects), models, media };
}

export function byId(objects: WorldState['objects']): Record<string, object> {
  return Object.fromEntries(objects.map(({ createdBy, ...object }) => [object.id, object]));
}
