import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBody, makeBytes } from './testing/bodies.ts';
import { describeBucket } from './testing/bucket-contract.ts';
import { openS3Bucket, type S3Server, startS3Server } from './testing/s3-server.ts';

const TYPE = { contentType: 'model/gltf-binary' };

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.stop());

describeBucket('an S3 server', async () => openS3Bucket(server));

describe('an S3 server', () => {
  it.each([
    ['secret', { secretAccessKey: 'another-secret' }, 'S3_SECRET_ACCESS_KEY'],
    ['access key', { accessKeyId: 'AKIAOTHER' }, 'S3_ACCESS_KEY_ID'],
    ['bucket', { bucket: 'other' }, 'S3_BUCKET'],
  ])('names the setting of a wrong %s, and no secret', async (_, changes, variable) => {
    const { bucket } = openS3Bucket(server, changes);
    for (const ask of [
      () => bucket.put('a/b', makeBody([makeBytes(10)]).stream, { bytes: 10, ...TYPE }),
      () => bucket.get('a/b'),
      () => bucket.delete(['a/b']),
      () => bucket.abortMultipart('a/b', 'x'),
    ]) {
      const error = await ask().catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: 'store_unavailable',
        needsOperator: true,
        message: expect.stringContaining(variable),
      });
      expect(String(error)).not.toMatch(/another-secret|a-secret-of-the-test|AKIA/);
    }
  });

  it('cannot be found without a server: the message names the endpoint', async () => {
    const { bucket } = openS3Bucket(server, { endpoint: 'http://127.0.0.1:9' });
    await expect(bucket.head('a')).rejects.toMatchObject({
      code: 'store_unavailable',
      retryAfterSeconds: 5,
      message: expect.stringContaining('S3_ENDPOINT'),
    });
  });
});
