import { afterAll, beforeAll } from 'vitest';
import { LARGE_BUCKET_CASES } from './testing/bucket-cases.ts';
import { describeBucket } from './testing/bucket-contract.ts';
import { openS3Bucket, type S3Server, startS3Server } from './testing/s3-server.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

describeBucket('an S3 server', async () => openS3Bucket(server), LARGE_BUCKET_CASES);
