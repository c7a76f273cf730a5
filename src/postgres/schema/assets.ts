import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core';
import type { JsonObject } from '../../world/types.ts';
import { hexBytes, id, idCheck, lengthCheck, tenantId, time } from './columns.ts';
import { spaces } from './spaces.ts';
import { tenants } from './tenants.ts';

const assetColumns = () => ({
  name: text('name').notNull(),
  url: text('url').notNull(),
  sha256: hexBytes('sha256'),
  bytes: bigint('bytes', { mode: 'number' }),
  contentType: text('content_type'),
  createdAt: time('created_at').notNull().defaultNow(),
  /** The file in `stored_files`. Null: the bytes are elsewhere, at `url`. */
  fileSha256: hexBytes('file_sha256'),
  /** The results of the inspection of the file. */
  details: jsonb('details').$type<JsonObject>(),
});

/** 3D models that objects name by `modelId`. */
export const uploadedModels = pgTable(
  'uploaded_models',
  { tenantId: tenantId(), modelId: id('model_id').notNull(), ...assetColumns() },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.modelId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    idCheck('uploaded_models_id_form', t.modelId),
    lengthCheck('uploaded_models_name_size', t.name, 256),
    lengthCheck('uploaded_models_url_size', t.url, 2048),
    check('uploaded_models_bytes_range', sql`${t.bytes} >= 0 and octet_length(${t.sha256}) = 32`),
    index('uploaded_models_file').on(t.tenantId, t.fileSha256).where(sql`file_sha256 is not null`),
  ],
);

/** Files in the bucket: the same bytes are stored once per tenant. */
export const storedFiles = pgTable(
  'stored_files',
  {
    tenantId: tenantId(),
    sha256: hexBytes('sha256').notNull(),
    objectKey: text('object_key').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    /** The number of models and media with these bytes. */
    uses: bigint('uses', { mode: 'number' }).notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.sha256] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    check('stored_files_uses_positive', sql`${t.uses} > 0 and ${t.bytes} >= 0`),
  ],
);

/** The bytes in `stored_files` of a tenant: the quota counts them. */
export const fileTotals = pgTable(
  'file_totals',
  { tenantId: tenantId().primaryKey(), bytes: bigint('bytes', { mode: 'number' }).notNull() },
  (t) => [foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] })],
);

/**
 * Objects in the bucket that no stored file names: uploads in progress, and bytes that nothing uses any more. A job deletes the
 * old ones.
 */
export const looseObjects = pgTable(
  'loose_objects',
  {
    tenantId: tenantId(),
    objectKey: text('object_key').notNull(),
    /** Of an upload in parts: its name in the bucket. */
    bucketUploadId: text('bucket_upload_id'),
    touchedAt: time('touched_at').notNull().defaultNow(),
    /** The job deletes it now: no upload can finish with it. */
    isDoomed: boolean('is_doomed').notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.objectKey] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    index('loose_objects_oldest').on(t.tenantId, t.touchedAt),
  ],
);

/** Uploads of large files in parts. */
export const fileUploads = pgTable(
  'file_uploads',
  {
    tenantId: tenantId(),
    uploadId: id('upload_id').notNull(),
    kind: text('kind').$type<'model' | 'media'>().notNull(),
    name: text('name').notNull(),
    contentType: text('content_type'),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    objectKey: text('object_key').notNull(),
    bucketUploadId: text('bucket_upload_id').notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.uploadId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    lengthCheck('file_uploads_name_size', t.name, 256),
  ],
);

/** The parts of an upload that the bucket has. */
export const fileParts = pgTable(
  'file_parts',
  {
    tenantId: tenantId(),
    uploadId: id('upload_id').notNull(),
    part: integer('part').notNull(),
    etag: text('etag').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.uploadId, t.part] }),
    foreignKey({
      columns: [t.tenantId, t.uploadId],
      foreignColumns: [fileUploads.tenantId, fileUploads.uploadId],
    }).onDelete('cascade'),
  ],
);

/** The models and media that were saved with the world of a space: its states show them, referenced or not. */
export const spaceAssets = pgTable(
  'space_assets',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    kind: text('kind').$type<'model' | 'media'>().notNull(),
    assetId: id('asset_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.kind, t.assetId] }),
    foreignKey({
      columns: [t.tenantId, t.spaceId],
      foreignColumns: [spaces.tenantId, spaces.spaceId],
    }).onDelete('cascade'),
    check('space_assets_kind_known', sql`${t.kind} in ('model', 'media')`),
  ],
);

/** Images, sounds and films. */
export const mediaAssets = pgTable(
  'media_assets',
  { tenantId: tenantId(), mediaId: id('media_id').notNull(), ...assetColumns() },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.mediaId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    idCheck('media_assets_id_form', t.mediaId),
    lengthCheck('media_assets_name_size', t.name, 256),
    lengthCheck('media_assets_url_size', t.url, 2048),
    check('media_assets_bytes_range', sql`${t.bytes} >= 0 and octet_length(${t.sha256}) = 32`),
    index('media_assets_file').on(t.tenantId, t.fileSha256).where(sql`file_sha256 is not null`),
  ],
);
