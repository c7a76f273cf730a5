import type { JsonObject } from '../../world/types.ts';
import { BACKUP_CHAT_MEMBERS, BACKUP_MODEL_MEMBERS } from '../../world/world-input.ts';
import { isMembers, type Members, showValue } from './json-text.ts';
import type { Loss, ParsedScene, SceneSource } from './scene.ts';
import { locateInLists } from './state.ts';

/** The backup of an in-memory server: `{objects: {id: {…}}, models: {id: {…}}, chatHistory: […]}`. The API takes it as it is. */
export function readBackup(json: Members, { stem }: SceneSource): ParsedScene {
  const ids = Object.keys(json.objects as Members);
  const models = isMembers(json.models) ? Object.keys(json.models) : [];
  return {
    format: 'backup',
    world: json as JsonObject,
    objects: ids.length,
    notPreserved: [
      ...findUnread(json.models, { id: ['id'], ...BACKUP_MODEL_MEMBERS }, 'models'),
      ...findUnread(json.chatHistory, BACKUP_CHAT_MEMBERS, 'messages'),
    ],
    notes: [],
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

/** Members of models and messages that have no place here. Of several names for the same value, the unused ones. */
function findUnread(list: unknown, members: Record<string, readonly string[]>, what: string): Loss[] {
  const counts = new Map<string, number>();
  const items = typeof list === 'object' && list !== null ? Object.values(list).filter(isMembers) : [];
  const hasValue = (value: unknown) => value !== undefined && value !== null;
  for (const item of items) {
    const read = new Set(Object.values(members).map((names) => names.find((name) => hasValue(item[name]))));
    for (const [name, value] of Object.entries(item))
      if (hasValue(value) && !read.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ kind: `"${name}" of ${what}`, count }));
}
