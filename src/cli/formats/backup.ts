import type { JsonObject } from '../../world/types.ts';
import { isMembers, type Members, showValue } from './json-text.ts';
import { countNormalisedRotations } from './rotations.ts';
import type { Scene, SceneSource } from './scene.ts';
import { locateInLists } from './state.ts';

/** The backup of an in-memory server: `{objects: {id: {…}}, models: {id: {…}}, chatHistory: […]}`. The API takes it as it is. */
export function readBackup(json: Members, { stem }: SceneSource): Scene {
  const objects = json.objects as Members;
  const ids = Object.keys(objects);
  const models = isMembers(json.models) ? Object.keys(json.models) : [];
  return {
    format: 'backup',
    world: json as JsonObject,
    objects: ids.length,
    normalisedRotations: countNormalisedRotations(Object.values(objects).filter(isMembers)),
    space: { name: stem },
    locate: (path) => {
      const match = /^\/(objects|models)\/([^/]+)(.*)$/.exec(path);
      if (match === null) return locateInLists({ ...json, chat: json.chatHistory }, path);
      const [, list, key = '', rest = ''] = match;
      const keys = list === 'objects' ? ids : models;
      // The check meets the members in their order in the file, and says a member's place or its key.
      const id = keys.includes(key) ? key : keys[Number(key)];
      const kind = list === 'objects' ? 'object' : 'model';
      return { node: id === undefined ? `${kind} ${key}` : `${kind} ${showValue(id)}`, rest };
    },
  };
}
