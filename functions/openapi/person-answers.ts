import * as z from 'zod';
import type { DeadLetter } from '../../src/log/dead-letters.ts';
import type { ErasedPerson } from '../../src/persistence-layer.ts';
import type { SentOperation } from '../../src/world/operation.ts';
import { idSchema } from '../../src/world/schemas.ts';
import {
  auditEntryAnswer,
  countAnswer,
  propertiesAnswer,
  rotationAnswer,
  seqAnswer,
  timeAnswer,
  userAnswer,
  vectorAnswer,
} from './answers.ts';

/** Each count is of what the erasure deleted or changed. */
export const erasedPersonAnswer: z.ZodType<{ erased: ErasedPerson }> = z.strictObject({
  erased: z.strictObject({
    profiles: countAnswer,
    memberships: countAnswer.describe('With their avatars.'),
    sessions: countAnswer,
    messages: countAnswer,
    events: countAnswer,
    days: countAnswer.describe('Days on which the person was in a space.'),
    deadLetters: countAnswer,
    spilled: countAnswer.describe('Requests that wait for Redis. They return without the person.'),
    authors: countAnswer.describe('1 if the person had signed objects, which have a pseudonym now.'),
    files: countAnswer.describe('Media files that only the `avatarUrl` of the person named.'),
    audit: countAnswer.describe('Rows of the audit, which keep their hash.'),
    keys: countAnswer.describe('Keys and members in Redis.'),
  }),
});

const spaceOfPerson = { spaceId: idSchema };
/** The document of `exportPerson`. */
export const personExportAnswer = z.strictObject({
  format: z.literal('worldkeep-person/1'),
  exportedAt: timeAnswer,
  user: userAnswer,
  sessionData: z.unknown().describe('The data that a game server keeps of the person in Redis; null: none.'),
  memberships: z.array(
    z.strictObject({
      ...spaceOfPerson,
      role: z.enum(['viewer', 'editor', 'owner']),
      joinedAt: timeAnswer,
      properties: propertiesAnswer.describe('Of the avatar.'),
      position: vectorAnswer.nullable().describe('Null: the person has no avatar there.'),
      rotation: rotationAnswer.nullable(),
    }),
  ),
  sessions: z.array(
    z.strictObject({
      id: idSchema,
      ...spaceOfPerson,
      role: z.enum(['viewer', 'editor', 'owner']),
      createdAt: timeAnswer,
      expiresAt: timeAnswer,
      lastHeartbeatAt: timeAnswer.nullable(),
      endedAt: timeAnswer.nullable(),
    }),
  ),
  messages: z.array(
    z.strictObject({
      id: idSchema,
      ...spaceOfPerson,
      text: z.string(),
      kind: z.string(),
      seq: seqAnswer,
      createdAt: timeAnswer,
      deletedAt: timeAnswer.nullable().describe('A deleted message stays for some days.'),
    }),
  ),
  objects: z.array(
    z.strictObject({
      id: idSchema,
      ...spaceOfPerson,
      created: z.boolean(),
      updated: z.boolean().describe('The person made the last change.'),
    }),
  ),
  events: z.array(
    z.strictObject({
      id: z.string(),
      type: z.string(),
      spaceId: idSchema.nullable(),
      at: timeAnswer,
      data: propertiesAnswer,
    }),
  ),
  days: z.array(
    z.strictObject({
      day: z.iso.date(),
      spaceId: idSchema.nullable(),
      sessions: countAnswer,
      seconds: countAnswer,
    }),
  ),
  deadLetters: z.array(
    z.strictObject({
      id: idSchema,
      ...spaceOfPerson,
      op: z.custom<DeadLetter['op']>(),
      createdAt: timeAnswer,
    }),
  ),
  spilled: z
    .array(
      z.strictObject({
        ...spaceOfPerson,
        createdAt: timeAnswer,
        operations: z.array(z.custom<SentOperation>()),
      }),
    )
    .describe('Requests that wait for their return into Redis.'),
  audit: z.array(auditEntryAnswer).describe('As `GET /v1/audit` shows them.'),
  complete: z.literal(true).describe('The last member. A document without it broke off.'),
});
