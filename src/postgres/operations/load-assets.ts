import { and, eq, sql } from 'drizzle-orm';
import type { Asset } from '../../world/types.ts';
import { toTexts } from '../array-literal.ts';
import type { Database, Postgres } from '../client.ts';
import { toTime } from '../rows.ts';
import { mediaAssets, spaceAssets, uploadedModels } from '../schema/assets.ts';

/** The ids of models and media. */
export interface WantedAssets {
  models: readonly string[];
  media: readonly string[];
}

/** Models or media of one answer at most: names and addresses in full are 10 KB each on their way. */
const ASSETS_MAX = 800;

const assetColumns = <Table extends typeof uploadedModels | typeof mediaAssets>(table: Table) => ({
  name: table.name,
  url: table.url,
  sha256: table.sha256,
  bytes: table.bytes,
  contentType: table.contentType,
  createdAt: table.createdAt,
});

/** The ids of the models and media that were saved with the world of a space. */
export function selectSavedAssets(db: Database, tenantId: string, spaceId: string) {
  return db
    .select({ kind: spaceAssets.kind, id: spaceAssets.assetId })
    .from(spaceAssets)
    .where(and(eq(spaceAssets.tenantId, tenantId), eq(spaceAssets.spaceId, spaceId)));
}

/** Models and media of a tenant, by their ids, sorted. Unknown ids are left out. */
export async function loadAssets(
  postgres: Postgres,
  tenantId: string,
  { models, media }: WantedAssets,
): Promise<{ models: Asset[]; media: Asset[] }> {
  const found: { models: Asset[]; media: Asset[] } = { models: [], media: [] };
  const pages = Math.ceil(Math.max(models.length, media.length) / ASSETS_MAX);
  for (let page = 0; page < pages; page++) {
    const [from, to] = [page * ASSETS_MAX, (page + 1) * ASSETS_MAX];
    const [modelRows, mediaRows] = await postgres.inTenant(
      tenantId,
      (db) => [
        db
          .select({ id: uploadedModels.modelId, ...assetColumns(uploadedModels) })
          .from(uploadedModels)
          .where(
            and(
              eq(uploadedModels.tenantId, tenantId),
              sql`${uploadedModels.modelId} = any(${toTexts(models.slice(from, to))}::text[])`,
            ),
          ),
        db
          .select({ id: mediaAssets.mediaId, ...assetColumns(mediaAssets) })
          .from(mediaAssets)
          .where(
            and(
              eq(mediaAssets.tenantId, tenantId),
              sql`${mediaAssets.mediaId} = any(${toTexts(media.slice(from, to))}::text[])`,
            ),
          ),
      ],
      'snapshot',
    );
    found.models.push(...modelRows.map(toAsset));
    found.media.push(...mediaRows.map(toAsset));
  }
  for (const list of [found.models, found.media]) list.sort((a, b) => (a.id < b.id ? -1 : 1));
  return found;
}

/** Reads all objects of the world, because no index holds references. */
export async function referencesAsset(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  kind: 'model' | 'media',
  id: string,
): Promise<boolean> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ isFound: sql<boolean>`is_found` })
        .from(sql`references_asset(${spaceId}, ${kind}, ${id}) as is_found`),
    ],
    'snapshot',
  );
  return row?.isFound === true;
}

function toAsset<Row extends { createdAt: string }>(row: Row): Row {
  return { ...row, createdAt: toTime(row.createdAt) };
}
