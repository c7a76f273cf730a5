import { afterAll, beforeAll } from 'vitest';
import { BUCKET_CASES, LARGE_BUCKET_CASES } from './testing/bucket-cases.ts';
import { describeCases } from './testing/bucket-contract.ts';
import { type R2Target, startR2Target } from './testing/r2-target.ts';
import { listOptions, type S3Server, startS3Server } from './testing/s3-server.ts';

let server: S3Server;
let target: R2Target;
beforeAll(async () => {
  [server, target] = await Promise.all([startS3Server(), startR2Target()]);
});
afterAll(() => Promise.all([server.stop(), target.stop()]));

describeCases(
  'an S3 server that workerd calls',
  (bucketCase) => target.runS3Case(bucketCase, listOptions(server)),
  [...BUCKET_CASES, ...LARGE_BUCKET_CASES],
);
