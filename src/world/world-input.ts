import * as z from 'zod';
import { AppError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { eulerToQuaternion } from './quaternion.ts';
import {
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
  id: idSchema,
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
  text: text(LIMITS.chatTextLengthMax),
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
  // Not optional: a body that forgot its objects must never empty a world.
  objects: z.array(
    worldObjectSchema,
    'must be the list of objects (or the backup of an in-memory server, objects by their ids)',
  ),
  users: z.array(avatarSchema).optional(),
  models: z.array(assetSchema).default([]),
  media: z.array(assetSchema).default([]),
  chat: z.array(chatSchema).default([]),
});

/**
 * A whole world, from a state as this product gives it or from the backup of an in-memory server
 * (`{objects:{id:{…}}, models:{…}, chatHistory:[…]}`).
 * @throws validation_failed naming what is wrong and where, the same id given twice included.
 */
export function checkWorld(value: unknown): WorldInput {
  const world = check(worldSchema, isBackup(value) ? readBackup(value) : value);
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
        errors: [{ path: `${at}/${index}/id`, message: `is given twice: ${id}` }],
      });
    seen.add(id);
  }
}

type Members = Record<string, JsonValue | undefined>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBackup(value: unknown): value is Members & { objects: Members } {
  return isMembers(value) && isMembers(value.objects);
}

/** Members of a backup's object that an object here has too; all others are kept among its properties. */
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

/** Members by id, or a list of things that know their ids. */
function listOf(value: JsonValue): [string, JsonValue | undefined][] {
  if (Array.isArray(value))
    return value.map((item) => [isMembers(item) && typeof item.id === 'string' ? item.id : '', item]);
  return isMembers(value) ? Object.entries(value) : [];
}

function readBackupObject(id: string, item: JsonValue | undefined): unknown {
  if (!isMembers(item)) return item;
  if (item.id !== undefined && item.id !== id)
    throw new AppError('validation_failed', 'The input is not valid.', {
      errors: [{ path: toPointer(['objects', id, 'id']), message: 'must be the id it stands under' }],
    });
  const known: Members = { id };
  const others: Members = {};
  for (const [key, value] of Object.entries(item))
    if (value !== undefined) (OBJECT_MEMBERS.has(key) ? known : others)[key] = value;
  const given = isMembers(item.properties) ? (item.properties as JsonObject) : {};
  return {
    ...known,
    rotation: readBackupRotation(item.rotation),
    properties:
      item.properties === undefined || isMembers(item.properties) ? { ...others, ...given } : item.properties,
  };
}

/** In-memory servers often keep Euler angles (radians, XYZ): a rotation without w is one. */
function readBackupRotation(rotation: JsonValue | undefined): unknown {
  if (!isMembers(rotation) || rotation.w !== undefined) return rotation;
  const { x, y, z: roll } = rotation;
  if (typeof x !== 'number' || typeof y !== 'number' || typeof roll !== 'number') return rotation;
  return eulerToQuaternion({ x, y, z: roll });
}

function readBackupModel(id: string, item: JsonValue | undefined): unknown {
  if (!isMembers(item)) return item;
  return {
    id,
    name: item.name ?? item.filename ?? id,
    url: item.url ?? item.path,
    sha256: item.sha256 ?? null,
    bytes: item.bytes ?? item.size ?? null,
    contentType: item.contentType ?? item.mimeType ?? null,
  };
}

function readBackupChat(item: JsonValue, index: number): unknown {
  if (!isMembers(item)) return item;
  const at = item.createdAt ?? item.timestamp;
  const createdAt =
    typeof at === 'number' && Number.isFinite(at) && Math.abs(at) < 8.64e15 ? new Date(at).toISOString() : at;
  return {
    // A message without an id gets the same one each time, so that a backup imported twice is not said twice.
    id: item.id ?? `backup:${String(createdAt ?? '').replaceAll(/[^\w.:-]/g, '_')}:${index}`,
    userId: item.userId ?? null,
    text: item.text ?? item.message,
    kind: item.kind ?? item.type ?? 'text',
    createdAt: createdAt ?? null,
  };
}
