import { createHash } from 'node:crypto';
import { openFolderBucket } from '../assets/folder-bucket.ts';
import { createS3Bucket } from '../assets/s3-bucket.ts';
import type { BucketConfig } from '../config.ts';
import { AssetLibrary } from '../library/asset-library.ts';
import { createAssetStore } from '../postgres/asset-store.ts';
import type { Postgres } from '../postgres/client.ts';

const S3_VARIABLES = {
  endpoint: 'ASSET_S3_ENDPOINT',
  bucket: 'ASSET_S3_BUCKET',
  region: 'ASSET_S3_REGION',
  accessKeyId: 'ASSET_S3_ACCESS_KEY_ID',
  secretAccessKey: 'ASSET_S3_SECRET_ACCESS_KEY',
};

/** The library over a bucket that the environment names, to sweep it: it takes no upload. */
export function openLibrary(bucket: BucketConfig, postgres: Postgres): AssetLibrary {
  const files =
    bucket.kind === 'folder'
      ? openFolderBucket(bucket.dir, 'ASSET_DIR')
      : createS3Bucket({ ...bucket, variables: S3_VARIABLES, createSha256: () => createHash('sha256') });
  return new AssetLibrary(createAssetStore(postgres), files, {
    bytesMax: 0,
    fileBytesMax: 0,
    quotaBytes: 0,
    createHash() {
      throw new TypeError('a sweep hashes nothing');
    },
    now: Date.now,
    createId() {
      throw new TypeError('a sweep adds nothing');
    },
    onFailure: () => undefined,
  });
}
