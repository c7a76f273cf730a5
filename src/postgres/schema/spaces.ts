import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  foreignKey,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core';
import type { Bounds, JsonObject } from '../../world/types.ts';
import {
  coordinate,
  finiteCheck,
  gridCell,
  id,
  idCheck,
  lengthCheck,
  propertiesCheck,
  seqColumn,
  tenantId,
  time,
} from './columns.ts';
import { users } from './people.ts';
import { tenants } from './tenants.ts';

/**
 * Worlds. `log_cursor` is the last seq that is applied here; `generation` names the rows of `world_objects` that are the
 * world now, and `generation_seq` is the seq at which they became it. `incarnation` is new whenever the space is, and began at
 * `incarnation_seq`. `log_instance` names the life of Redis that holds the space's log: from then on nothing else moves the
 * cursor; NULL, there is no log.
 */
export const spaces = pgTable(
  'spaces',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    incarnation: id('incarnation').notNull(),
    name: text('name').notNull(),
    description: text('description'),
    settings: jsonb('settings').$type<JsonObject>().notNull().default({}),
    bounds: jsonb('bounds').$type<Bounds>(),
    logCursor: seqColumn('log_cursor').notNull(),
    generation: bigint('generation', { mode: 'number' }).notNull().default(1),
    generationSeq: seqColumn('generation_seq').notNull(),
    nextGeneration: bigint('next_generation', { mode: 'number' }).notNull().default(2),
    incarnationSeq: seqColumn('incarnation_seq').notNull(),
    logInstance: text('log_instance'),
    logOpenedAt: time('log_opened_at'),
    createdAt: time('created_at').notNull().defaultNow(),
    updatedAt: time('updated_at').notNull().defaultNow(),
    deletedAt: time('deleted_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    idCheck('spaces_id_form', t.spaceId, t.incarnation),
    lengthCheck('spaces_name_size', t.name, 256),
    lengthCheck('spaces_description_size', t.description, 4096),
    propertiesCheck('spaces_settings_size', t.settings),
    // 2^53 - 1: every seq is a safe integer where it is a JavaScript number.
    check('spaces_seq_safe', sql`${t.logCursor} between 0 and 9007199254740991`),
    check('spaces_generation_named', sql`${t.generation} < ${t.nextGeneration}`),
  ],
);

/** The columns that say what an object is. */
const objectFields = () => ({
  objectId: id('object_id').notNull(),
  seq: seqColumn('seq').notNull(),
  createdSeq: seqColumn('created_seq').notNull(),
  positionX: coordinate('position_x').notNull(),
  positionY: coordinate('position_y').notNull(),
  positionZ: coordinate('position_z').notNull(),
  rotationX: coordinate('rotation_x').notNull(),
  rotationY: coordinate('rotation_y').notNull(),
  rotationZ: coordinate('rotation_z').notNull(),
  rotationW: coordinate('rotation_w').notNull(),
  scaleX: coordinate('scale_x').notNull(),
  scaleY: coordinate('scale_y').notNull(),
  scaleZ: coordinate('scale_z').notNull(),
  name: text('name'),
  modelId: id('model_id'),
  parentId: id('parent_id'),
  createdBy: id('created_by'),
  updatedBy: id('updated_by'),
  properties: jsonb('properties').$type<JsonObject>().notNull().default({}),
});

/**
 * What stands in a world. Rows of a generation that no space names are a world being staged, or one that was replaced.
 * `seq` and `created_seq` 0 mean the seq at which the generation became the world. What `parent_id` and `model_id` name
 * may not be there: order and cuts never change an outcome. The cells are what a region is found by: integers, for under row
 * security only operators that leak nothing may use an index.
 */
export const worldObjects = pgTable(
  'world_objects',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    generation: bigint('generation', { mode: 'number' }).notNull(),
    ...objectFields(),
    cellX: gridCell('cell_x', 'position_x'),
    cellY: gridCell('cell_y', 'position_y'),
    cellZ: gridCell('cell_z', 'position_z'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.generation, t.objectId] }),
    // Height last: a region is walked column by column, and each column is one range of heights. The condition is always
    // true; for who does not ask for a height it hides the index, or else the planner, where it knows nothing of a space
    // yet, takes this for looking up one object and reads the whole space.
    index('world_objects_cells')
      .on(t.tenantId, t.spaceId, t.generation, t.cellX, t.cellZ, t.cellY)
      .where(sql`cell_y is not null`),
    idCheck('world_objects_id_form', t.objectId),
    idCheck('world_objects_model_id_form', t.modelId),
    idCheck('world_objects_parent_id_form', t.parentId),
    lengthCheck('world_objects_name_size', t.name, 256),
    finiteCheck('world_objects_position_finite', t.positionX, t.positionY, t.positionZ),
    finiteCheck('world_objects_rotation_finite', t.rotationX, t.rotationY, t.rotationZ, t.rotationW),
    finiteCheck('world_objects_scale_finite', t.scaleX, t.scaleY, t.scaleZ),
    check(
      'world_objects_rotation_length',
      sql`${t.rotationX} <> 0 or ${t.rotationY} <> 0 or ${t.rotationZ} <> 0 or ${t.rotationW} <> 0`,
    ),
    propertiesCheck('world_objects_properties_size', t.properties),
  ],
);

/**
 * Objects as single writes left them, for the callers that wait for those answers. The next such write in the space removes
 * rows that are older than `LIMITS.writtenObjectsKeptMs` in the space's order, and the sweep of the records removes the rest.
 */
export const writtenObjects = pgTable(
  'written_objects',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    ...objectFields(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.spaceId, t.seq] })],
);

/**
 * What was taken out of a world of late, so that a reader who has it already can be told. Whatever removes an object from the
 * generation that is the world notes it here; what is older than `LIMITS.removalsKeptMs` in the space's order goes again.
 */
export const objectRemovals = pgTable(
  'object_removals',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    generation: bigint('generation', { mode: 'number' }).notNull(),
    objectId: id('object_id').notNull(),
    seq: seqColumn('seq').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.generation, t.objectId] }),
    foreignKey({
      columns: [t.tenantId, t.spaceId],
      foreignColumns: [spaces.tenantId, spaces.spaceId],
    }).onDelete('cascade'),
    index('object_removals_newest').on(t.tenantId, t.spaceId, t.seq),
    idCheck('object_removals_id_form', t.objectId),
  ],
);

/**
 * A world on its way in, under a generation of its own, until one transaction makes it the space's. One that an entry of the
 * log names is `queued_at`, and `aside` is what comes with its objects: {users, models, media, chat}, as flip_stage takes them.
 */
export const worldStages = pgTable(
  'world_stages',
  {
    tenantId: tenantId(),
    stageId: id('stage_id').notNull(),
    spaceId: id('space_id').notNull(),
    generation: bigint('generation', { mode: 'number' }).notNull(),
    objects: integer('objects').notNull().default(0),
    touchedAt: time('touched_at').notNull().defaultNow(),
    queuedAt: time('queued_at'),
    aside: json('aside'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.stageId] }),
    foreignKey({
      columns: [t.tenantId, t.spaceId],
      foreignColumns: [spaces.tenantId, spaces.spaceId],
    }).onDelete('cascade'),
    idCheck('world_stages_id_form', t.stageId),
  ],
);

/** Who belongs to a space, with which role, and where their avatar stands (no position: no avatar here). */
export const spaceMembers = pgTable(
  'space_members',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    userId: id('user_id').notNull(),
    role: text('role').notNull().default('viewer'),
    seq: seqColumn('seq').notNull().default(0),
    positionX: coordinate('position_x'),
    positionY: coordinate('position_y'),
    positionZ: coordinate('position_z'),
    rotationX: coordinate('rotation_x'),
    rotationY: coordinate('rotation_y'),
    rotationZ: coordinate('rotation_z'),
    rotationW: coordinate('rotation_w'),
    properties: jsonb('properties').$type<JsonObject>().notNull().default({}),
    joinedAt: time('joined_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.userId] }),
    foreignKey({
      columns: [t.tenantId, t.spaceId],
      foreignColumns: [spaces.tenantId, spaces.spaceId],
    }).onDelete('cascade'),
    foreignKey({ columns: [t.tenantId, t.userId], foreignColumns: [users.tenantId, users.userId] }).onDelete(
      'cascade',
    ),
    check('space_members_role_known', sql`${t.role} in ('viewer', 'editor', 'owner')`),
    finiteCheck('space_members_position_finite', t.positionX, t.positionY, t.positionZ),
    finiteCheck('space_members_rotation_finite', t.rotationX, t.rotationY, t.rotationZ, t.rotationW),
    check(
      'space_members_avatar_whole',
      sql`num_nulls(${t.positionX}, ${t.positionY}, ${t.positionZ}, ${t.rotationX}, ${t.rotationY}, ${t.rotationZ}, ${t.rotationW}) in (0, 7)`,
    ),
    propertiesCheck('space_members_properties_size', t.properties),
  ],
);

/** What was said. A deleted message keeps its row until cleanup. */
export const chatMessages = pgTable(
  'chat_messages',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    messageId: id('message_id').notNull(),
    userId: id('user_id'),
    text: text('text').notNull(),
    kind: text('kind').notNull().default('text'),
    seq: seqColumn('seq').notNull(),
    createdAt: time('created_at').notNull(),
    deletedAt: time('deleted_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.messageId] }),
    foreignKey({
      columns: [t.tenantId, t.spaceId],
      foreignColumns: [spaces.tenantId, spaces.spaceId],
    }).onDelete('cascade'),
    index('chat_messages_newest')
      .on(t.tenantId, t.spaceId, t.createdAt, t.messageId)
      .where(sql`deleted_at is null`),
    idCheck('chat_messages_id_form', t.messageId),
    lengthCheck('chat_messages_text_size', t.text, 4000),
    lengthCheck('chat_messages_kind_size', t.kind, 128),
  ],
);
