import * as z from 'zod';
import { readBackupRotation, readBackupVector } from './backup-transform.ts';
import { AppError } from './errors.ts';
import { LIMITS } from './limits.ts';
import {
  chatTextSchema,
  check,
  idSchema,
  nameSchema,
  objectSchema,
  propertiesSchema,
  rotationSchema,
  text,
  timeSchema,
  toPointer,
  urlSchema,
  userIdSchema,
  vectorSchema,
} from './schemas.ts';
import type { JsonObject, JsonValue, WorldInput } from './types.ts';

export const assetSchema = z.strictObject({
  id: idSchema,
  name: nameSchema.default(''),
  url: urlSchema,
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')
    .nullable()
    .default(null),
  bytes: z.int().min(0).nullable().default(null),
  contentType: text(LIMITS.nameLengthMax)
    .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
    .nullable()
    .default(null),
  createdAt: z.unknown().optional(),
});

export const avatarSchema = z.strictObject({
  id: userIdSchema,
  displayName: nameSchema.min(1),
  avatarUrl: urlSchema.nullable().default(null),
  position: vectorSchema.default({ x: 0, y: 0, z: 0 }),
  rotation: rotationSchema.default({ x: 0, y: 0, z: 0, w: 1 }),
  properties: propertiesSchema.default({}),
  seq: z.unknown().optional(),
});

export const chatSchema = z.strictObject({
  id: idSchema,
  userId: idSchema.nullable().default(null),
  text: chatTextSchema,
  kind: text(LIMITS.idLengthMax).default('text'),
  seq: z.unknown().optional(),
  createdAt: timeSchema.nullable().default(null),
});

export const worldObjectSchema = objectSchema.extend({
  createdBy: idSchema.nullable().default(null),
  createdAt: timeSchema.nullable().default(null),
});

export const worldSchema = z.strictObject({
  space: z.unknown().optional(),
  seq: z.unknown().optional(),
  rev: z.unknown().optional(),
  durableSeq: z.unknown().optional(),
  // Not optional: a body without objects by mistake must never empty a world.
  objects: z.array(
    worldObjectSchema,
    'must be a list of objects, or (in a backup of an in-memory server) the objects by their ids',
  ),
  users: z.array(avatarSchema).optional(),
  models: z.array(assetSchema).default([]),
  media: z.array(assetSchema).default([]),
  chat: z.array(chatSchema).default([]),
});

/**
 * Reads a whole world: a state of worldkeep, or the backup of an in-memory server
 * (`{objects:{id:{…}}, models:{…}, chatHistory:[…]}`).
 * @throws validation_failed with the path and the reason of each error, also for a repeated id.
 */
export function checkWorld(value: unknown): WorldInput {
  const world = check(worldSchema, toState(value));
  refuseRepeats(world.objects, '/objects');
  refuseRepeats(world.users ?? [], '/users');
  refuseRepeats(world.models, '/models');
  refuseRepeats(world.media, '/media');
  refuseRepeats(world.chat, '/chat');
  const { objects, users, models, media, chat } = world;
  return { objects, ...(users && { users }), models, media, chat };
}

function refuseRepeats(items: readonly { id: string }[], at: string): void {
  const seen = new Set<string>();
  for (const [index, { id }] of items.entries()) {
    if (seen.has(id))
      throw new AppError('validation_failed', 'The input is not valid.', {
        errors: [{ path: `${at}/${index}/id`, message: `appears more than once: ${id}` }],
      });
    seen.add(id);
  }
}

type Members = Record<string, JsonValue | undefined>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns a backup in the form of a state, and any other value unchanged. @throws validation_failed */
export function toState(value: unknown): unknown {
  return isBackup(value) ? readBackup(value) : value;
}

function isBackup(value: unknown): value is Members & { objects: Members } {
  return isMembers(value) && isMembers(value.objects);
}

/** Members of a backup's object that an object has here too. All others become properties. */
const OBJECT_MEMBERS = new Set([
  'id',
  'name',
  'modelId',
  'parentId',
  'position',
  'rotation',
  'scale',
  'properties',
]);

function readBackup(backup: Members & { objects: Members }): unknown {
  const { objects, models = {}, chatHistory = [], users, media, ...rest } = backup;
  return {
    ...rest,
    objects: Object.entries(objects).map(([id, item]) => readBackupObject(id, item)),
    models: listOf(models).map(([id, item]) => readBackupModel(id, item)),
    ...(media !== undefined && { media }),
    ...(users !== undefined && { users }),
    chat: Array.isArray(chatHistory) ? chatHistory.map(readBackupChat) : chatHistory,
  };
}

/** Reads an object with ids as keys, or a list of items with ids. */
function listOf(value: JsonValue): [string, JsonValue | undefined][] {
  if (Array.isArray(value))
    return value.map((item) => [isMembers(item) && typeof item.id === 'string' ? item.id : '', item]);
  return isMembers(value) ? Object.entries(value) : [];
}

function readBackupObject(id: string, item: JsonValue | undefined): unknown {
  if (!isMembers(item)) return item;
  if (item.id !== undefined && item.id !== id)
    throw new AppError('validation_failed', 'The input is not valid.', {
      errors: [
        { path: toPointer(['objects', id, 'id']), message: 'must be the same as the key of this object' },
      ],
    });
  const known: Members = { id };
  const others: Members = {};
  for (const [key, value] of Object.entries(item))
    if (value !== undefined) (OBJECT_MEMBERS.has(key) ? known : others)[key] = value;
  const given = isMembers(item.properties) ? (item.properties as JsonObject) : {};
  return {
    ...known,
    position: readBackupVector(item.position, ['objects', id, 'position']),
    rotation: readBackupRotation(item.rotation, ['objects', id, 'rotation']),
    scale: readBackupVector(item.scale, ['objects', id, 'scale']),
    properties:
      item.properties === undefined || isMembers(item.properties) ? { ...others, ...given } : item.properties,
  };
}

/** The members to read from a backup's model, each from the first of its names that has a value. */
export const BACKUP_MODEL_MEMBERS = {
  name: ['name', 'filename'],
  url: ['url', 'path'],
  sha256: ['sha256'],
  bytes: ['bytes', 'size'],
  contentType: ['contentType', 'mimeType'],
} as const;

/** The same for a backup's message. */
export const BACKUP_CHAT_MEMBERS = {
  id: ['id'],
  userId: ['userId'],
  text: ['text', 'message'],
  kind: ['kind', 'type'],
  createdAt: ['createdAt', 'timestamp'],
} as const;

function readMembers<Name extends string>(
  item: Members,
  members: Record<Name, readonly string[]>,
): Record<Name, JsonValue | undefined> {
  const entries = Object.entries<readonly string[]>(members);
  return Object.fromEntries(
    entries.map(([name, names]) => [
      name,
      names.map((each) => item[each]).find((value) => value !== undefined && value !== null),
    ]),
  ) as Record<Name, JsonValue | undefined>;
}

function readBackupModel(id: string, item: JsonValue | undefined): unknown {
  if (!isMembers(item)) return item;
  const {
    name = id,
    url,
    sha256 = null,
    bytes = null,
    contentType = null,
  } = readMembers(item, BACKUP_MODEL_MEMBERS);
  return { id, name, url: encodeSpaces(url), sha256, bytes, contentType };
}

/** A path of a file system may contain spaces and control characters. A URL may not. */
function encodeSpaces(path: JsonValue | undefined): JsonValue | undefined {
  if (typeof path !== 'string') return path;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are among what is encoded
  return path.replaceAll(/[\u0000-\u0020\u007f]/g, encodeURIComponent);
}

function readBackupChat(item: JsonValue, index: number): unknown {
  if (!isMembers(item)) return item;
  const read = readMembers(item, BACKUP_CHAT_MEMBERS);
  const { userId = null, text, kind = 'text', createdAt: at } = read;
  const createdAt =
    typeof at === 'number' && Number.isFinite(at) && Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : at;
  // A message without an id gets the same one each time, so that a second import does not repeat it.
  const { id = `backup:${String(createdAt ?? '').replaceAll(/[^\w.:-]/g, '_')}:${index}` } = read;
  return { id, userId, text, kind, createdAt: createdAt ?? null };
}
