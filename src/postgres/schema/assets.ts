import { sql } from 'drizzle-orm';
import { bigint, check, foreignKey, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
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
  ],
);
