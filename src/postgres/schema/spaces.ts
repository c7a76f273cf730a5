import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  json,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core';
import type { Bounds, JsonObject } from '../../world/types.ts';
import {
  coordinate,
  finiteCheck,
  id,
  idCheck,
  lengthCheck,
  propertiesCheck,
  seqColumn,
  tenantId,
  time,
  worldNumber,
} from './columns.ts';
import { users } from './people.ts';
import { tenants } from './tenants.ts';

/** The lower 39 bits of the number of a world. The upper 24 are the number of its tenant: see next_world. */
export const worldNumbers = pgSequence('world_numbers', { minValue: 1, maxValue: 549_755_813_887 });

/**
 * Spaces. `log_cursor` is the last seq that is applied here. `world` is the number of the generation whose rows in `world_objects` are
 * the world now. `generation_seq` is the seq at which they became it. `incarnation` is new for each created space and began at
 * `incarnation_seq`. `log_instance` names the Redis that holds the space's log. From then on nothing else moves the cursor. NULL: there is
 * no log.
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
    world: worldNumber(),
    generationSeq: seqColumn('generation_seq').notNull(),
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
  ],
);

/**
 * Every generation that a space has drawn a number for, until its rows are swept. A number is drawn once, so rows of another
 * tenant or of an older world never have it.
 */
export const worlds = pgTable(
  'worlds',
  { tenantId: tenantId(), spaceId: id('space_id').notNull(), world: worldNumber() },
  (t) => [primaryKey({ columns: [t.tenantId, t.spaceId, t.world] })],
);

/** The columns that say what an object is. `created_by` and `updated_by` are numbers of `authors`. */
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
  createdBy: bigint('created_by', { mode: 'number' }),
  updatedBy: bigint('updated_by', { mode: 'number' }),
  properties: jsonb('properties').$type<JsonObject>().notNull().default({}),
});

/**
 * The objects of worlds. Rows of a number that no space names belong to a staged or replaced world. `seq` and `created_seq` 0 mean the
 * seq at which the generation became the world. `parent_id` and `model_id` may name missing things, so that order never changes an
 * outcome. The key is short, because it is half of the cost of a written row. It is the only index, so that a move stays within its page.
 */
export const worldObjects = pgTable('world_objects', { world: worldNumber(), ...objectFields() }, (t) => [
  primaryKey({ columns: [t.world, t.objectId] }),
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
]);

/**
 * Objects as single writes left them, for the callers that wait for those answers. The next such write removes rows older than
 * `LIMITS.writtenObjectsKeptMs` in the space's order. The sweep of records removes the rest.
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
 * Objects that were removed from a world, so that a reader who has already read them can be told. Whatever removes an object
 * from a living world notes it here; rows older than `LIMITS.removalsKeptMs` in the space's order go again.
 */
export const objectRemovals = pgTable(
  'object_removals',
  { world: worldNumber(), objectId: id('object_id').notNull(), seq: seqColumn('seq').notNull() },
  (t) => [primaryKey({ columns: [t.world, t.objectId] }), index('object_removals_newest').on(t.world, t.seq)],
);

/**
 * A world that is being saved, under its own number, until one transaction makes it the space's. `queued_at` is set when an entry of the
 * log names it. `aside` holds the other parts: {users, models, media, chat}, as flip_stage takes them.
 */
export const worldStages = pgTable(
  'world_stages',
  {
    tenantId: tenantId(),
    stageId: id('stage_id').notNull(),
    spaceId: id('space_id').notNull(),
    world: worldNumber(),
    objects: integer('objects').notNull().default(0),
    /** It came from a session, which may not sign as another person. */
    isSession: boolean('is_session').notNull().default(false),
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

/** Members of a space, with role and avatar (no position: no avatar here). */
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

/** Chat messages. A deleted message keeps its row until cleanup. */
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
    index('chat_messages_deleted').on(t.tenantId, t.deletedAt).where(sql`deleted_at is not null`),
    idCheck('chat_messages_id_form', t.messageId),
    lengthCheck('chat_messages_text_size', t.text, 4000),
    lengthCheck('chat_messages_kind_size', t.kind, 128),
  ],
);
