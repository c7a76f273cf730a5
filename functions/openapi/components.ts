import * as z from 'zod';
import { issueSchema } from '../../src/access/api-keys.ts';
import { sessionInputSchema } from '../../src/access/sessions.ts';
import { eventDataSchema, eventsSchema } from '../../src/world/event-schema.ts';
import { LIMITS } from '../../src/world/limits.ts';
import { operationsSchema } from '../../src/world/operation-schema.ts';
import {
  idSchema,
  messageSchema,
  objectPatchSchema,
  objectSchema,
  propertiesSchema,
  rotationSchema,
  spaceSchema,
  userSchema,
  vectorSchema,
} from '../../src/world/schemas.ts';
import { worldSchema } from '../../src/world/world-input.ts';
import { assetUrlInput, fileUploadInput } from '../api/assets.ts';
import { cleanupReportAnswer } from '../jobs/cleanup-schemas.ts';
import { drainJobInput, drainReportAnswer } from '../jobs/drain-schemas.ts';
import { sealReportAnswer } from '../jobs/seal-schemas.ts';
import {
  assetAnswer,
  auditEntryAnswer,
  auditLineAnswer,
  avatarAnswer,
  changesAnswer,
  chatMessageAnswer,
  committedAnswer,
  deadLetterAnswer,
  eventCountsAnswer,
  fileUploadAnswer,
  healthAnswer,
  issuedKeyAnswer,
  issuedSessionAnswer,
  keyAnswer,
  libraryAssetAnswer,
  liveAnswer,
  objectAnswer,
  pageOf,
  postedMessageAnswer,
  presentPersonAnswer,
  problemAnswer,
  propertiesAnswer,
  queuedAnswer,
  readyAnswer,
  rotationAnswer,
  savedAnswer,
  spaceAnswer,
  stateAnswer,
  statisticsAnswer,
  userAnswer,
  vectorAnswer,
} from './answers.ts';
import type { JsonSchema } from './json-schema.ts';
import { incidentAnswer, jobRunsAnswer, operationsAnswer } from './operations.ts';
import { erasedPersonAnswer, personExportAnswer } from './person-answers.ts';
import {
  activityReportAnswer,
  modelReportAnswer,
  refreshReportAnswer,
  retentionReportAnswer,
  spaceReportAnswer,
} from './report-answers.ts';
import { stateLineAnswer, worldLineInput } from './state-lines.ts';

/**
 * The inputs, by the schemas that check them. Checks in code are not part of them: text without NUL and lone surrogates, the size and
 * depth of properties, duplicate ids.
 */
const INPUTS = {
  Id: idSchema,
  VectorInput: vectorSchema,
  RotationInput: rotationSchema,
  PropertiesInput: propertiesSchema,
  SpaceInput: spaceSchema,
  // The path names the object; its body may.
  ObjectInput: objectSchema.partial({ id: true }),
  ObjectPatch: objectPatchSchema,
  Updates: operationsSchema,
  MessageInput: messageSchema,
  AssetUrlInput: assetUrlInput,
  FileUploadInput: fileUploadInput,
  WorldInput: worldSchema,
  WorldLineInput: worldLineInput,
  WorldBackup: z
    .looseObject({
      objects: z.record(z.string(), z.looseObject({})),
      models: z.union([z.record(z.string(), z.looseObject({})), z.array(z.looseObject({}))]).optional(),
      chatHistory: z.array(z.looseObject({})).optional(),
    })
    .describe(
      'The backup of an in-memory server, checked as a WorldInput. Unknown members of an object become its properties. A rotation is a quaternion, or Euler angles in radians with their `order` (default XYZ), or a list or object of three.js. White space in the `path` of a model is encoded.',
    ),
  // The path names the person; the body may.
  UserInput: userSchema.partial({ id: true }),
  SessionInput: sessionInputSchema,
  KeyInput: issueSchema,
  Events: eventsSchema,
  DrainJob: drainJobInput,
} as const satisfies Record<string, z.ZodType>;

/** The answers. */
const ANSWERS = {
  Vector: vectorAnswer,
  Rotation: rotationAnswer,
  Properties: propertiesAnswer,
  Space: spaceAnswer,
  SpacePage: pageOf(spaceAnswer),
  Object: objectAnswer,
  ObjectPage: pageOf(objectAnswer),
  Avatar: avatarAnswer,
  Asset: assetAnswer,
  LibraryAsset: libraryAssetAnswer,
  LibraryAssetPage: pageOf(libraryAssetAnswer),
  FileUpload: fileUploadAnswer,
  ChatMessage: chatMessageAnswer,
  ChatPage: pageOf(chatMessageAnswer),
  PostedMessage: postedMessageAnswer,
  State: stateAnswer,
  StateLine: stateLineAnswer,
  Saved: savedAnswer,
  Queued: queuedAnswer,
  Committed: committedAnswer,
  Changes: changesAnswer,
  DeadLetter: deadLetterAnswer,
  DeadLetterPage: pageOf(deadLetterAnswer),
  AuditEntry: auditEntryAnswer,
  AuditPage: pageOf(auditEntryAnswer),
  AuditLine: auditLineAnswer,
  Statistics: statisticsAnswer,
  User: userAnswer,
  UserPage: pageOf(userAnswer),
  IssuedSession: issuedSessionAnswer,
  PresentPage: pageOf(presentPersonAnswer),
  ErasedPerson: erasedPersonAnswer,
  PersonExport: personExportAnswer,
  Key: keyAnswer,
  KeyPage: pageOf(keyAnswer),
  IssuedKey: issuedKeyAnswer,
  EventCounts: eventCountsAnswer,
  IncidentPage: pageOf(incidentAnswer),
  JobRuns: jobRunsAnswer,
  Operations: operationsAnswer,
  DrainReport: drainReportAnswer,
  CleanupReport: cleanupReportAnswer,
  RefreshReport: refreshReportAnswer,
  SealReport: sealReportAnswer,
  ActivityReport: activityReportAnswer,
  SpaceReport: spaceReportAnswer,
  ModelReport: modelReportAnswer,
  RetentionReport: retentionReportAnswer,
  Live: liveAnswer,
  Ready: readyAnswer,
  Health: healthAnswer,
  Problem: problemAnswer,
} as const satisfies Record<string, z.ZodType>;

export type ComponentName = keyof typeof INPUTS | keyof typeof ANSWERS;

/** Every schema by its name, as JSON Schema 2020-12. */
export function buildComponents(): Record<string, JsonSchema> {
  return { ...convertAll(INPUTS, 'input'), ...convertAll(ANSWERS, 'output') };
}

export function refer(name: ComponentName): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/** One schema on its own, such as a parameter's. */
export function convert(schema: z.ZodType): JsonSchema {
  const { $schema, ...converted } = z.toJSONSchema(schema, { ...OPTIONS, io: 'input' });
  return converted as JsonSchema;
}

const OPTIONS = {
  // Members that only code checks may be anything here.
  unrepresentable: 'any',
  override({ zodSchema, jsonSchema }) {
    if (zodSchema === propertiesSchema)
      Object.assign(jsonSchema, {
        type: 'object',
        description: `At most ${LIMITS.propertiesBytesMax} bytes as stored, and nested at most ${LIMITS.propertiesDepthMax} deep.`,
      });
    if (zodSchema === eventDataSchema)
      Object.assign(jsonSchema, {
        type: 'object',
        description: `At most ${LIMITS.eventDataBytesMax} bytes as stored.`,
      });
    if (zodSchema === propertiesAnswer) jsonSchema.type = 'object';
    if (zodSchema === idSchema) jsonSchema.examples = ['lamp-3'];
  },
} as const satisfies z.core.ToJSONSchemaParams;

function convertAll(schemas: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output') {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const converted = z.toJSONSchema(registry, {
    ...OPTIONS,
    io,
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(converted.schemas).map(([name, { $schema, $id, ...schema }]) => [
      name,
      schema as JsonSchema,
    ]),
  );
}
