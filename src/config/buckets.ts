import { type Env, misconfigured, read, readHttpUrl } from './values.ts';

/** The store for the bytes of models and media on Node. Workers have a binding. */
export type BucketConfig =
  | { kind: 'folder'; dir: string }
  | {
      kind: 's3';
      endpoint: string;
      bucket: string;
      region: string;
      accessKeyId: string;
      secretAccessKey: string;
    };

const S3_NAMES = [
  ...(['ASSET_S3_ENDPOINT', 'ASSET_S3_BUCKET'] as const),
  ...(['ASSET_S3_ACCESS_KEY_ID', 'ASSET_S3_SECRET_ACCESS_KEY'] as const),
];

/** @returns null if none is configured. @throws misconfigured */
export function readBucket(env: Env): BucketConfig | null {
  const dir = read(env, 'ASSET_DIR');
  const endpoint = readHttpUrl(env, 'ASSET_S3_ENDPOINT');
  const given = S3_NAMES.filter((name) => read(env, name) !== null);
  const [first] = given;
  if (dir !== null && first !== undefined)
    throw misconfigured('ASSET_DIR', `and ${first} are both set, but worldkeep uses one bucket. Remove one.`);
  if (dir !== null) return { kind: 'folder', dir };
  if (first === undefined) return null;
  const missing = S3_NAMES.filter((name) => !given.includes(name));
  if (missing.length > 0)
    throw misconfigured(first, `needs ${missing.join(' and ')}. Set ${missing.join(' and ')} too.`);
  return {
    kind: 's3',
    endpoint: endpoint ?? '',
    bucket: read(env, 'ASSET_S3_BUCKET') ?? '',
    region: read(env, 'ASSET_S3_REGION') ?? 'auto',
    accessKeyId: read(env, 'ASSET_S3_ACCESS_KEY_ID') ?? '',
    secretAccessKey: read(env, 'ASSET_S3_SECRET_ACCESS_KEY') ?? '',
  };
}
