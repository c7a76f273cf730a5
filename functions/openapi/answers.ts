import * as z from 'zod';
import type { IssuedKey } from '../../src/access/api-keys.ts';
import type { IssuedSession } from '../../src/access/sessions.ts';
import { AUDIT_TABLES, type AuditEntry } from '../../src/audit/audit-stores.ts';
import type { EventCounts } from '../../src/events/event-log.ts';
import type { PresentPerson } from '../../src/live/presence.ts';
import type { DeadLetter } from '../../src/log/dead-letters.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { SentOperation } from '../../src/world/operation.ts';
import { idSchema } from '../../src/world/schemas.ts';
import type {
  ApiKey,
  Asset,
  Avatar,
  ChatMessage,
  JsonObject,
  Page,
  Quaternion,
  Space,
  SpaceStatistics,
  User,
  Vector3,
  WorldObject,
  WorldState,
} from '../../src/world/types.ts';
import type { Health } from '../api/health-types.ts';

/** The answers of the API. Each matches the type in the code, and tests compare real answers with it. */

export const vectorAnswer: z.ZodType<Vector3> = z.strictObject({
  x: z.number(),
  y: z.number(),
  z: z.number(),
});

export const rotationAnswer: z.ZodType<Quaternion> = z.strictObject({
  x: z.number(),
  y: z.number(),
  z: z.number(),
  w: z.number(),
});

export const seqAnswer = z.int().min(0).describe('A place in the order of a space: microseconds since 1970.');
export const timeAnswer = z.iso.datetime();
/** Any JSON object: it was checked when it came in. */
export const propertiesAnswer = z.custom<JsonObject>();
const nullableId = idSchema.nullable();
export const countAnswer = z.int().min(0);

export const spaceAnswer = z.strictObject({
  id: idSchema,
  name: z.string(),
  description: z.string().nullable(),
  settings: propertiesAnswer,
  bounds: z.strictObject({ min: vectorAnswer, max: vectorAnswer }).nullable(),
  seq: seqAnswer,
  createdAt: timeAnswer,
  updatedAt: timeAnswer,
}) satisfies z.ZodType<Space>;

export const objectAnswer = z.strictObject({
  id: idSchema,
  spaceId: idSchema,
  name: z.string().nullable(),
  modelId: nullableId,
  parentId: nullableId,
  position: vectorAnswer,
  rotation: rotationAnswer,
  scale: vectorAnswer,
  properties: propertiesAnswer,
  seq: seqAnswer,
  createdBy: nullableId,
  updatedBy: nullableId,
  createdAt: timeAnswer,
  updatedAt: timeAnswer,
}) satisfies z.ZodType<WorldObject>;

export const avatarAnswer = z.strictObject({
  id: idSchema,
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
  position: vectorAnswer,
  rotation: rotationAnswer,
  properties: propertiesAnswer,
  seq: seqAnswer,
}) satisfies z.ZodType<Avatar>;

export const assetAnswer = z.strictObject({
  id: idSchema,
  name: z.string(),
  url: z.string(),
  sha256: z.string().nullable(),
  bytes: countAnswer.nullable(),
  contentType: z.string().nullable(),
  createdAt: timeAnswer,
}) satisfies z.ZodType<Asset>;

/** With the results of the inspection. */
export const libraryAssetAnswer = assetAnswer.extend({ details: propertiesAnswer.nullable() });

export const fileUploadAnswer = z.strictObject({
  id: idSchema,
  name: z.string(),
  bytes: countAnswer,
  partBytes: countAnswer.describe('The bytes of each part except the last.'),
  parts: countAnswer,
  missing: z.array(countAnswer).describe('The numbers of the parts that are not stored yet, from 1.'),
  expiresAt: timeAnswer,
});

const durabilityAnswer = z
  .enum(['committed', 'queued', 'spilled', 'memory'])
  .describe(
    '`committed`: Postgres has committed the write. `queued`: the log in Redis has it. `spilled`: Redis is away, and the write waits in Postgres for its place in the log. `memory`: both stores are away, and the server holds the write.',
  );

export const chatMessageAnswer = z.strictObject({
  id: idSchema,
  userId: nullableId,
  text: z.string(),
  kind: z.string(),
  seq: seqAnswer,
  createdAt: timeAnswer,
}) satisfies z.ZodType<ChatMessage>;

/** A spilled message has neither `seq` nor `createdAt`: it gets its place in the order later. */
export const postedMessageAnswer = chatMessageAnswer.extend({
  seq: seqAnswer.exactOptional(),
  createdAt: timeAnswer.exactOptional(),
  durability: durabilityAnswer,
});

/** With `include`, the parts that were asked for. */
export const stateAnswer: z.ZodType<Partial<WorldState> & Pick<WorldState, 'space' | 'seq' | 'durableSeq'>> =
  z.strictObject({
    space: spaceAnswer,
    seq: seqAnswer,
    durableSeq: seqAnswer,
    spilled: countAnswer
      .exactOptional()
      .describe(
        'Only while Redis is away: the requests that the state shows without a place in the order. It may miss queued writes. Load it again.',
      ),
    objects: z.array(objectAnswer).exactOptional(),
    users: z.array(avatarAnswer).exactOptional(),
    models: z.array(assetAnswer).exactOptional(),
    media: z.array(assetAnswer).exactOptional(),
    chat: z.array(chatMessageAnswer).max(LIMITS.stateChatMessagesMax).exactOptional(),
  });

export const savedAnswer = z.strictObject({
  seq: seqAnswer,
  objects: countAnswer,
  durability: z.literal('committed'),
});

export const queuedAnswer = z.strictObject({
  seq: seqAnswer
    .exactOptional()
    .describe('Absent if the write is `spilled` or in `memory`: it gets its place in the order later.'),
  accepted: countAnswer.describe('The number of accepted operations.'),
  durability: z.enum(['queued', 'spilled', 'memory']),
});

const resultAnswer = z.strictObject({
  id: idSchema,
  status: z
    .enum(['applied', 'unknown_object', 'conflict', 'rejected'])
    .describe('`rejected`: it would have made what cannot be kept, and is a dead letter.'),
});
export const committedAnswer = z.strictObject({
  seq: seqAnswer,
  durability: z.literal('committed'),
  results: z.array(resultAnswer).describe('One for each operation, in their order.'),
});

export const changesAnswer = z.strictObject({
  changes: z.array(
    z.strictObject({
      seq: seqAnswer,
      actor: nullableId.describe('Whose change it is.'),
      ops: z
        .array(z.custom<SentOperation>())
        .describe(
          'The operations as they were sent, in their order; one whose condition failed is shown too. A `move` stays in columns, unless `expand=operations` asks for patches. A write through an object route shows its `If-Match` or `If-None-Match` as `ifSeq` (a list) or `ifExists`: true for `If-Match: *`, false for `If-None-Match: *`. Only those routes write `ifExists`.',
        ),
    }),
  ),
  head: seqAnswer.describe('Where the order ends.'),
});

export const eventCountsAnswer: z.ZodType<EventCounts> = z.strictObject({
  accepted: countAnswer,
  duplicates: countAnswer.describe('Events whose `id` was accepted within the last hour.'),
  dropped: countAnswer.describe(
    'Events that were not taken because of load, an outage or `ANALYTICS_ENABLED=false`.',
  ),
});

export const deadLetterAnswer: z.ZodType<DeadLetter> = z.strictObject({
  id: idSchema,
  spaceId: idSchema,
  seq: seqAnswer,
  actor: nullableId,
  op: z.custom<DeadLetter['op']>(),
  error: z.strictObject({
    code: z.string().nullable().describe('An SQLSTATE.'),
    constraint: z.string().nullable(),
  }),
  createdAt: timeAnswer,
  replayedAt: timeAnswer.nullable(),
});

export const auditEntryAnswer = z.strictObject({
  id: z.string(),
  at: timeAnswer.describe('When the transaction began that made the change.'),
  actor: z
    .string()
    .nullable()
    .describe(
      'A person, a key, `worldkeep` itself, or `role/` and a role of the database. Null: nobody was named.',
    ),
  requestId: z.string().nullable(),
  table: z.enum(AUDIT_TABLES),
  action: z.enum(['insert', 'update', 'delete', 'replace', 'erase']),
  spaceId: nullableId,
  objectId: nullableId.describe('The id of the row: of an object, a message, a key, a person and so on.'),
  userId: nullableId.describe('The person whom the row is about.'),
  old: propertiesAnswer.nullable().describe('Columns before the change; null for an insert.'),
  new: propertiesAnswer.nullable().describe('Columns after the change; null for a deletion.'),
  isErased: z.boolean().describe('A person was erased: the actor, or the subject of the change.'),
}) satisfies z.ZodType<AuditEntry>;

export const auditLineAnswer = z.union([
  auditEntryAnswer.extend({ kind: z.literal('entry') }),
  z.strictObject({ kind: z.literal('end'), entries: countAnswer }),
  z.strictObject({ kind: z.literal('error'), code: z.string(), detail: z.string(), requestId: z.string() }),
]);

const activityAnswer = z.strictObject({ objectsChanged: countAnswer, messages: countAnswer });
export const statisticsAnswer: z.ZodType<SpaceStatistics> = z.strictObject({
  spaceId: idSchema,
  objects: countAnswer,
  users: countAnswer,
  models: countAnswer,
  media: countAnswer,
  chatMessages: countAnswer,
  seq: seqAnswer,
  durableSeq: seqAnswer,
  durabilityLagMs: countAnswer,
  activity: z
    .strictObject({ lastHour: activityAnswer, lastDay: activityAnswer })
    .describe('Existing objects that were written in that time, and messages of that time.'),
  updatedAt: timeAnswer,
});

export const userAnswer: z.ZodType<User> = z.strictObject({
  id: idSchema,
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
  properties: propertiesAnswer,
  createdAt: timeAnswer,
  lastSeenAt: timeAnswer.nullable(),
});

export const issuedSessionAnswer: z.ZodType<IssuedSession> = z.strictObject({
  id: idSchema,
  token: z.string().describe('The credential. Only this answer has it.'),
  expiresAt: timeAnswer,
});

export const presentPersonAnswer: z.ZodType<PresentPerson> = z.strictObject({
  userId: idSchema,
  sessions: z.int().min(1).describe('The number of present sessions of this person.'),
  joinedAt: timeAnswer,
  lastSeenAt: timeAnswer,
});

const keyMembers = {
  id: idSchema,
  tenantId: idSchema,
  scopes: z.array(z.enum(['read', 'write', 'admin'])),
  createdAt: timeAnswer,
  expiresAt: timeAnswer.nullable(),
  revokedAt: timeAnswer.nullable(),
};
export const keyAnswer: z.ZodType<ApiKey> = z.strictObject(keyMembers);
export const issuedKeyAnswer: z.ZodType<IssuedKey> = z.strictObject({
  ...keyMembers,
  secret: z.string().describe('The credential. Only this answer has it.'),
});

export const liveAnswer = z.strictObject({ status: z.literal('ok') });
export const readyAnswer = z.strictObject({
  status: z.literal('ready'),
  persistence: z.strictObject({ database: z.boolean(), cache: z.boolean() }),
});
export const healthAnswer = z.strictObject({
  status: z.enum(['ok', 'degraded', 'down']),
  persistence: z.strictObject({ database: z.boolean(), cache: z.boolean() }),
  awaySince: z
    .strictObject({ database: timeAnswer.nullable(), cache: timeAnswer.nullable() })
    .describe('Since when the process that answers has found a store away.'),
  worldState: z.strictObject({
    users: countAnswer.nullable(),
    objects: countAnswer.nullable(),
    models: countAnswer.nullable(),
  }),
  batchProcessor: z.strictObject({
    processed: countAnswer,
    queued: countAnswer,
    averageLatency: z.number().min(0).describe('Mean milliseconds from append to commit of recent entries.'),
    noEffect: countAnswer.describe(
      'Operations among `processed` that changed nothing: `unknown_object` or `conflict`.',
    ),
  }),
  durabilityLagMs: z.number().min(0).describe('How long the oldest pending operation has waited.'),
  log: z
    .enum(['ok', 'evicts', 'full', 'away', 'none'])
    .describe(
      '`evicts`: Redis would lose what is queued, so nothing is taken. `full`: it has no memory left for that. `none`: no Redis is configured.',
    ),
}) satisfies z.ZodType<Health>;

export const problemAnswer = z.strictObject({
  type: z.string().describe('`urn:worldkeep:problem:<code>`'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().describe('The path of the request.'),
  code: z.string().describe('A stable code for programs.'),
  requestId: z.string(),
  errors: z
    .array(z.strictObject({ path: z.string(), message: z.string() }))
    .describe('Each error of the input: a JSON Pointer (`/limit` for a parameter or header) and a sentence.'),
});

/** A page of a list. */
export function pageOf<T>(item: z.ZodType<T>): z.ZodType<Page<T>> {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z.string().nullable().describe('The value for `?cursor=`. Null at the end of the list.'),
  });
}
