import type { JsonObject, JsonValue } from '../../world/types.ts';
import { isMembers, type Members, showValue } from './json-text.ts';
import type { ParsedScene, Scene, SceneSource } from './scene.ts';

/** Members that describe the state itself, and are not part of the world. */
const ABOUT_ITSELF = new Set(['space', 'seq', 'rev', 'durableSeq']);

/** A state as `GET /v1/spaces/{space}/state` and `worldkeep export` give it: objects, avatars, models, media, chat. */
export function readState(json: Members, { stem }: SceneSource): ParsedScene {
  const objects = json.objects as unknown[];
  const world = Object.fromEntries(Object.entries(json).filter(([key]) => !ABOUT_ITSELF.has(key)));
  const space = isMembers(json.space) ? json.space : {};
  return {
    format: 'state',
    world: world as JsonObject,
    objects: objects.length,
    notPreserved: [],
    notes: [],
    space: readSpace(space, stem),
    locate: (path) => locateInLists(json, path),
  };
}

export function readSpace(space: Members, stem: string): Scene['space'] {
  const { name, description, settings, bounds } = space;
  return {
    name: typeof name === 'string' && name !== '' ? name : stem,
    ...(typeof description === 'string' && { description }),
    ...(isMembers(settings) && { settings: settings as JsonObject }),
    ...(isMembers(bounds) && {
      // Whatever it is, the API checks it when it is sent.
      bounds: bounds as JsonValue as unknown as NonNullable<Scene['space']['bounds']>,
    }),
  };
}

/** `/objects/3/scale/x` is `object "lamp-3"` and `/scale/x`; so for users, models, media and messages. */
export function locateInLists(json: Members, path: string): { node: string | null; rest: string } {
  const match = /^\/(objects|users|models|media|chat)\/(\d+)(.*)$/.exec(path);
  if (match === null) return { node: null, rest: path };
  const [, list = '', index = '', rest = ''] = match;
  const items = json[list];
  const item: unknown = Array.isArray(items) ? items[Number(index)] : undefined;
  const kind = { objects: 'object', users: 'user', models: 'model', media: 'media', chat: 'message' }[list];
  const id = isMembers(item) && typeof item.id === 'string' ? ` ${showValue(item.id)}` : '';
  return { node: `${kind} ${index}${id}`, rest };
}
