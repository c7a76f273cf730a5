import { and, asc, desc, eq, lt, sql } from 'drizzle-orm';
import type { AssetKind, AssetStore } from '../library/asset-library.ts';
import { toTexts } from './array-literal.ts';
import type { Postgres } from './client.ts';
import { toTime } from './rows.ts';
import {
  fileParts,
  fileUploads,
  looseObjects,
  mediaAssets,
  storedFiles,
  uploadedModels,
} from './schema/assets.ts';

const TABLES = { model: uploadedModels, media: mediaAssets } as const;

function idOf(kind: AssetKind) {
  return kind === 'model' ? uploadedModels.modelId : mediaAssets.mediaId;
}

function columnsOf(kind: AssetKind) {
  const { name, url, sha256, bytes, contentType, createdAt, details } = TABLES[kind];
  return { id: idOf(kind), name, url, sha256, bytes, contentType, createdAt, details };
}

function toHexBytes(hex: string) {
  return sql`decode(${hex}, 'hex')`;
}

/** The store of AssetLibrary, on Postgres. */
export function createAssetStore(postgres: Postgres): AssetStore {
  return {
    async beginObject(tenantId, { key, bytes, quotaBytes }) {
      const [[row]] = await postgres.inTenant(tenantId, (db) => [
        db
          .select({ used: sql<string>`used`, isNoted: sql<boolean>`is_noted` })
          .from(sql`begin_object(${key}, ${bytes}::bigint, ${quotaBytes}::bigint, null)`),
      ]);
      return { used: Number(row?.used), isNoted: row?.isNoted === true };
    },

    async registerObject(tenantId, { key, sha256, bytes, quotaBytes, kind, id, name, contentType, details }) {
      const [[row]] = await postgres.inTenant(tenantId, (db) => [
        db
          .select({
            status: sql<'stored' | 'known' | 'over_quota' | 'gone'>`status`,
            used: sql<string>`used`,
          })
          .from(
            sql`register_object(${key}, ${toHexBytes(sha256)}, ${bytes}::bigint, ${quotaBytes}::bigint, ${kind}, ${id}, ${name}, ${contentType}, ${JSON.stringify(details)}::jsonb)`,
          ),
      ]);
      if (row === undefined) throw new Error('register_object gave no outcome');
      return { status: row.status, used: Number(row.used) };
    },

    async hasFile(tenantId, kind, sha256) {
      const table = TABLES[kind];
      const [rows] = await postgres.inTenant(
        tenantId,
        (db) => [
          db
            .select({ id: idOf(kind) })
            .from(table)
            .where(and(eq(table.tenantId, tenantId), eq(table.fileSha256, sha256)))
            .limit(1),
        ],
        'snapshot',
      );
      return rows.length > 0;
    },

    async registerKnown(tenantId, { kind, id, name, sha256 }) {
      const [[row]] = await postgres.inTenant(tenantId, (db) => [
        db
          .select({ isKnown: sql<boolean>`is_known` })
          .from(sql`register_known(${toHexBytes(sha256)}, ${kind}, ${id}, ${name}) as is_known`),
      ]);
      return row?.isKnown === true;
    },

    async addUrl(tenantId, { kind, id, name, url }) {
      const values = { tenantId, name, url };
      await postgres.inTenant(tenantId, (db) => [
        kind === 'model'
          ? db.insert(uploadedModels).values({ ...values, modelId: id })
          : db.insert(mediaAssets).values({ ...values, mediaId: id }),
      ]);
    },

    async loadAsset(tenantId, kind, id) {
      const table = TABLES[kind];
      const [[row]] = await postgres.inTenant(
        tenantId,
        (db) => [
          db
            .select({ ...columnsOf(kind), objectKey: storedFiles.objectKey })
            .from(table)
            .leftJoin(
              storedFiles,
              and(eq(storedFiles.tenantId, table.tenantId), eq(storedFiles.sha256, table.fileSha256)),
            )
            .where(and(eq(table.tenantId, tenantId), eq(idOf(kind), id))),
        ],
        'snapshot',
      );
      return row === undefined ? null : { ...row, createdAt: toTime(row.createdAt) };
    },

    async listAssets(tenantId, kind, { limit, before, sha256 }) {
      const table = TABLES[kind];
      const [rows] = await postgres.inTenant(
        tenantId,
        (db) => [
          db
            .select(columnsOf(kind))
            .from(table)
            .where(
              and(
                eq(table.tenantId, tenantId),
                before === '' ? undefined : lt(idOf(kind), before),
                sha256 === null ? undefined : eq(table.fileSha256, sha256),
              ),
            )
            .orderBy(desc(idOf(kind)))
            .limit(limit),
        ],
        'snapshot',
      );
      return rows.map((row) => ({ ...row, createdAt: toTime(row.createdAt) }));
    },

    async deleteAsset(tenantId, kind, id) {
      const [[row]] = await postgres.inTenant(tenantId, (db) => [
        db
          .select({ isFound: sql<boolean>`is_found`, objectKey: sql<string | null>`object_key` })
          .from(sql`delete_asset(${kind}, ${id})`),
      ]);
      return { isFound: row?.isFound === true, objectKey: row?.objectKey ?? null };
    },

    async doomObjects(seconds, limit) {
      const [rows] = await postgres.inTenant('', (db) => [
        db
          .select({
            tenantId: sql<string>`tenant_id`,
            objectKey: sql<string>`object_key`,
            bucketUploadId: sql<string | null>`bucket_upload_id`,
          })
          .from(sql`doom_objects(${seconds}::integer, ${limit}::integer)`),
      ]);
      return rows;
    },

    async doomObject(tenantId, key) {
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db
          .update(looseObjects)
          .set({ isDoomed: true })
          .where(and(eq(looseObjects.tenantId, tenantId), eq(looseObjects.objectKey, key)))
          .returning({ key: looseObjects.objectKey }),
      ]);
      return rows.length > 0;
    },

    async forgetObjects(tenantId, keys) {
      await postgres.inTenant(tenantId, (db) => [
        db.select({ done: sql`1` }).from(sql`forget_objects(${toTexts([...keys])}::text[])`),
      ]);
    },

    async addUpload(tenantId, { id, objectKey, bucketUploadId, ...upload }) {
      await postgres.inTenant(tenantId, (db) => [
        db.insert(fileUploads).values({ tenantId, uploadId: id, objectKey, bucketUploadId, ...upload }),
        db.update(looseObjects).set({ bucketUploadId }).where(isLoose(tenantId, objectKey)),
      ]);
    },

    async loadUpload(tenantId, kind, id) {
      const { kind: ofKind, name, contentType, bytes, objectKey, bucketUploadId, createdAt } = fileUploads;
      const [[row], parts] = await postgres.inTenant(
        tenantId,
        (db) => [
          db
            .select({ kind: ofKind, name, contentType, bytes, objectKey, bucketUploadId, createdAt })
            .from(fileUploads)
            .where(
              and(
                eq(fileUploads.tenantId, tenantId),
                eq(fileUploads.uploadId, id),
                eq(fileUploads.kind, kind),
              ),
            ),
          db
            .select({ part: fileParts.part, etag: fileParts.etag })
            .from(fileParts)
            .where(and(eq(fileParts.tenantId, tenantId), eq(fileParts.uploadId, id)))
            .orderBy(asc(fileParts.part)),
        ],
        'snapshot',
      );
      return row === undefined ? null : { id, ...row, createdAt: toTime(row.createdAt), parts };
    },

    async addPart(tenantId, uploadId, { part, etag }) {
      await postgres.inTenant(tenantId, (db) => [
        db
          .insert(fileParts)
          .values({ tenantId, uploadId, part, etag })
          .onConflictDoUpdate({
            target: [fileParts.tenantId, fileParts.uploadId, fileParts.part],
            set: { etag },
          }),
        // The upload goes on: its object is not old.
        db
          .update(looseObjects)
          .set({ touchedAt: sql`now()` })
          .where(
            and(
              eq(looseObjects.tenantId, tenantId),
              sql`${looseObjects.objectKey} = (select object_key from ${fileUploads} where ${fileUploads.tenantId} = ${tenantId} and ${fileUploads.uploadId} = ${uploadId})`,
            ),
          ),
      ]);
    },

    async removeUpload(tenantId, uploadId) {
      await postgres.inTenant(tenantId, (db) => [
        db
          .delete(fileUploads)
          .where(and(eq(fileUploads.tenantId, tenantId), eq(fileUploads.uploadId, uploadId))),
      ]);
    },
  };
}

function isLoose(tenantId: string, objectKey: string) {
  return and(eq(looseObjects.tenantId, tenantId), eq(looseObjects.objectKey, objectKey));
}
