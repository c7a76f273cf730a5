import assert from 'node:assert/strict';
import { type Bucket, PART_BYTES_MIN } from '../bucket.ts';
import { hash, makeBody, makeBytes, readAll, repeatChunk, splitOddly } from './bodies.ts';

/** An adapter in front of a real store. */
export interface OpenedBucket {
  bucket: Bucket;
  /** Another adapter for the same store, such as in another process. */
  reopen(): Bucket;
  /** Bytes of bodies that the store has received so far; null if nobody can count them. */
  received: (() => number) | null;
  /** Bytes of bodies that the store has sent so far; null if nobody can count them. */
  sent: (() => number) | null;
}

/** One promise of {@link Bucket}. It runs in Node and in workerd. */
export interface BucketCase {
  name: string;
  /** The length of its one `put`, for a store that counts what it receives. */
  putBytes?: number;
  run(opened: OpenedBucket): Promise<void>;
}

const MIB = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** The system's buffers of a loopback connection hold up to 10 MiB. */
const IN_FLIGHT_BYTES_MAX = 12 * MIB;
const TYPE = { contentType: 'model/gltf-binary' };

const newKey = () => `tenant/${crypto.randomUUID()}`;

async function put(bucket: Bucket, key: string, bytes: Uint8Array): Promise<void> {
  await bucket.put(key, makeBody([bytes]).stream, { bytes: bytes.length, ...TYPE });
}

async function read(bucket: Bucket, key: string, range?: { first: number; last: number }) {
  const object = await bucket.get(key, range);
  assert.ok(object);
  const bytes = await readAll(object.body);
  assert.equal(object.bytes, bytes.length);
  return bytes;
}

/** Compares digests: a difference of large arrays takes minutes to print. */
async function assertSame(actual: Uint8Array, expected: Uint8Array): Promise<void> {
  assert.equal(actual.length, expected.length);
  assert.deepEqual(await hash(actual), await hash(expected));
}

async function assertRefused(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.equal((error as { code?: unknown }).code, code, String(error));
    return true;
  });
}

async function assertMissing(bucket: Bucket, key: string): Promise<void> {
  assert.equal(await bucket.head(key), null);
  assert.equal(await bucket.get(key), null);
}

async function putParts(bucket: Bucket, key: string, uploadId: string, contents: readonly Uint8Array[]) {
  const parts = [];
  for (const [i, bytes] of contents.entries()) {
    const stream = makeBody(splitOddly(bytes)).stream;
    parts.push({ part: i + 1, etag: await bucket.uploadPart(key, uploadId, i + 1, stream, bytes.length) });
  }
  return parts;
}

const ROUND_TRIPS: BucketCase[] = [0, 1, 6 * MIB + 1].map((length) => ({
  name: `returns an object of ${length} bytes unchanged`,
  async run({ bucket, reopen }) {
    const key = newKey();
    const bytes = makeBytes(length);
    const body = makeBody(splitOddly(bytes));
    await bucket.put(key, body.stream, { bytes: length, sha256: await hash(bytes), ...TYPE });
    assert.deepEqual(await bucket.head(key), { bytes: length });
    await assertSame(await read(reopen(), key), bytes);
  },
}));

const WRONG_BODIES: BucketCase[] = [
  { name: 'an empty body', announced: 10, chunks: [] },
  { name: 'a body that is one byte too short', announced: 70_001, chunks: [70_000] },
  { name: 'a body that is one byte too long', announced: 69_999, chunks: [70_000] },
  { name: 'a body with one chunk too many', announced: 70_000, chunks: [70_000, 1] },
  { name: 'a body that is much too long', announced: 70_000, chunks: Array(100).fill(70_000) },
  { name: 'a byte where none is announced', announced: 0, chunks: [1] },
].map(({ name, announced, chunks }) => ({
  name: `refuses ${name}, and stores nothing`,
  async run({ bucket }: OpenedBucket) {
    const key = newKey();
    const lengths: number[] = chunks;
    const body = makeBody(lengths.map((length) => makeBytes(length)));
    await assertRefused(bucket.put(key, body.stream, { bytes: announced, ...TYPE }), 'length_mismatch');
    await assertMissing(bucket, key);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    assert.ok(body.isCancelled || body.produced === total, 'the rest of the body is cancelled');
  },
}));

const OBJECTS: BucketCase[] = [
  {
    name: 'returns a range',
    async run({ bucket }) {
      const key = newKey();
      const bytes = makeBytes(200_000);
      await put(bucket, key, bytes);
      for (const [first, last] of [
        [0, 0],
        [0, 199_999],
        [65_535, 131_072],
        [199_999, 199_999],
      ] as const)
        await assertSame(await read(bucket, key, { first, last }), bytes.slice(first, last + 1));
    },
  },
  {
    name: 'returns null for an object that does not exist',
    async run({ bucket }) {
      const key = newKey();
      await assertMissing(bucket, key);
      assert.equal(await bucket.get(key, { first: 0, last: 0 }), null);
    },
  },
  {
    name: 'refuses a wrong SHA-256, and stores nothing',
    async run({ bucket }) {
      for (const length of [0, 1, 300_000]) {
        const key = newKey();
        const body = makeBody(splitOddly(makeBytes(length)));
        const sha256 = await hash(makeBytes(length + 1));
        await assertRefused(
          bucket.put(key, body.stream, { bytes: length, sha256, ...TYPE }),
          'digest_mismatch',
        );
        await assertMissing(bucket, key);
      }
    },
  },
  {
    name: 'throws the error of a body unchanged, and stores nothing',
    async run({ bucket }) {
      for (const count of [0, 1, 20]) {
        const key = newKey();
        const failure = new Error('the client went away');
        const { stream } = makeBody(repeatChunk(CHUNK_BYTES, count), { failure });
        await assert.rejects(
          bucket.put(key, stream, { bytes: 40 * CHUNK_BYTES, ...TYPE }),
          (error) => error === failure,
        );
        await assertMissing(bucket, key);
      }
    },
  },
  {
    name: 'deletes objects, also twice, and missing ones',
    async run({ bucket }) {
      const keys = Array.from({ length: 7 }, newKey);
      const kept = newKey();
      for (const key of [...keys, kept]) await put(bucket, key, makeBytes(10));
      await bucket.delete([]);
      await bucket.delete([...keys, newKey()]);
      await bucket.delete(keys);
      for (const key of keys) await assertMissing(bucket, key);
      assert.deepEqual(await bucket.head(kept), { bytes: 10 });
    },
  },
  {
    name: 'continues after a reader stops early',
    async run({ bucket }) {
      const key = newKey();
      await put(bucket, key, makeBytes(3 * MIB));
      const object = await bucket.get(key);
      const reader = object?.body.getReader();
      await reader?.read();
      await reader?.cancel();
      await assertSame(await read(bucket, key), makeBytes(3 * MIB));
    },
  },
  {
    name: 'refuses keys that are not its own',
    async run({ bucket }) {
      for (const key of [
        'a'.repeat(256),
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '../a',
        'a/../../b',
        '.parts/a',
        'A',
        'a b',
        'a?b',
        'a\0',
        'é',
      ])
        for (const work of [
          () => bucket.get(key),
          () => bucket.delete([key]),
          () => put(bucket, key, makeBytes(1)),
        ])
          await assert.rejects(work, TypeError, JSON.stringify(key));
    },
  },
];

const MULTIPART: BucketCase[] = [
  {
    name: 'joins parts that several adapters uploaded',
    async run({ bucket, reopen }) {
      const key = newKey();
      const bytes = makeBytes(2 * PART_BYTES_MIN + 12_345);
      const slice = (i: number) => bytes.slice(i * PART_BYTES_MIN, (i + 1) * PART_BYTES_MIN);
      const uploadId = await bucket.createMultipart(key, TYPE);
      const etags = new Map<number, string>();
      // Out of order, and the second part twice.
      for (const part of [3, 2, 1, 2]) {
        const content = slice(part - 1);
        const { stream } = makeBody(splitOddly(content));
        etags.set(part, await reopen().uploadPart(key, uploadId, part, stream, content.length));
      }
      await assertMissing(bucket, key);
      const parts = [1, 2, 3].map((part) => ({ part, etag: etags.get(part) ?? '' }));
      await reopen().completeMultipart(key, uploadId, parts);
      assert.deepEqual(await bucket.head(key), { bytes: bytes.length });
      await assertSame(await read(bucket, key), bytes);
      const { stream } = makeBody([makeBytes(1)]);
      await assertRefused(bucket.uploadPart(key, uploadId, 4, stream, 1), 'not_found');
      await bucket.abortMultipart(key, uploadId);
      assert.deepEqual(await bucket.head(key), { bytes: bytes.length });
    },
  },
  {
    name: 'joins a single short part',
    async run({ bucket }) {
      const key = newKey();
      const uploadId = await bucket.createMultipart(key, TYPE);
      await bucket.completeMultipart(key, uploadId, await putParts(bucket, key, uploadId, [makeBytes(9)]));
      await assertSame(await read(bucket, key), makeBytes(9));
    },
  },
  {
    name: 'forgets an aborted upload',
    async run({ bucket }) {
      const key = newKey();
      const uploadId = await bucket.createMultipart(key, TYPE);
      const parts = await putParts(bucket, key, uploadId, [makeBytes(100)]);
      await bucket.abortMultipart(key, uploadId);
      await bucket.abortMultipart(key, uploadId);
      await assertRefused(bucket.completeMultipart(key, uploadId, parts), 'not_found');
      await assertMissing(bucket, key);
    },
  },
  {
    name: 'refuses an unknown upload, and an upload of another key',
    async run({ bucket }) {
      const key = newKey();
      const uploadId = await bucket.createMultipart(key, TYPE);
      const parts = await putParts(bucket, key, uploadId, [makeBytes(100)]);
      for (const [otherKey, otherId] of [
        [key, crypto.randomUUID()],
        [key, '../x?y&z'],
        [newKey(), uploadId],
      ] as const) {
        const { stream } = makeBody(repeatChunk(CHUNK_BYTES, 32));
        await assertRefused(bucket.uploadPart(otherKey, otherId, 1, stream, 2 * MIB), 'not_found');
        await assertRefused(bucket.completeMultipart(otherKey, otherId, parts), 'not_found');
        await bucket.abortMultipart(otherKey, otherId);
      }
      await bucket.completeMultipart(key, uploadId, parts);
    },
  },
  {
    name: 'refuses to join parts that are missing, out of order or too small',
    async run({ bucket }) {
      const key = newKey();
      const uploadId = await bucket.createMultipart(key, TYPE);
      const parts = await putParts(bucket, key, uploadId, [makeBytes(100), makeBytes(50)]);
      const [first, second] = parts;
      assert.ok(first && second);
      const other = { part: 1, etag: second.etag };
      for (const list of [[], [second], [second, first], [first, first], [other], [first, second]])
        await assertRefused(bucket.completeMultipart(key, uploadId, list), 'conflict');
      await assertMissing(bucket, key);
      await bucket.completeMultipart(key, uploadId, [first]);
      await assertSame(await read(bucket, key), makeBytes(100));
    },
  },
  {
    name: 'refuses a wrong or broken part, and takes a correct one after it',
    async run({ bucket }) {
      const key = newKey();
      const uploadId = await bucket.createMultipart(key, TYPE);
      const upload = (body: ReadableStream<Uint8Array>, bytes: number) =>
        bucket.uploadPart(key, uploadId, 1, body, bytes);
      await assertRefused(upload(makeBody([makeBytes(99)]).stream, 100), 'length_mismatch');
      await assertRefused(upload(makeBody([makeBytes(100), makeBytes(1)]).stream, 100), 'length_mismatch');
      const failure = new Error('the client went away');
      const broken = makeBody([makeBytes(50)], { failure }).stream;
      await assert.rejects(upload(broken, 100), (error) => error === failure);
      const parts = await putParts(bucket, key, uploadId, [makeBytes(100)]);
      await bucket.completeMultipart(key, uploadId, parts);
      await assertSame(await read(bucket, key), makeBytes(100));
    },
  },
];

/** A body that is larger than anything that an adapter may hold. */
function createMemoryCase(mib: number): BucketCase {
  const bytes = mib * MIB;
  return {
    name: `holds only the chunks in flight of ${mib} MiB, each way`,
    putBytes: bytes,
    async run({ bucket, received, sent }) {
      const key = newKey();
      const receivedBefore = received?.() ?? 0;
      let unreceivedMax = 0;
      const body = makeBody(repeatChunk(CHUNK_BYTES, bytes / CHUNK_BYTES), {
        onPull() {
          // Nothing is left to receive after the last chunk, and the store may have moved the object already.
          if (received !== null && body.produced < bytes)
            unreceivedMax = Math.max(unreceivedMax, body.produced - (received() - receivedBefore));
        },
      });
      await bucket.put(key, body.stream, { bytes, ...TYPE });
      assert.ok(unreceivedMax <= IN_FLIGHT_BYTES_MAX, `${unreceivedMax} bytes of a put were in flight`);

      const sentBefore = sent?.() ?? 0;
      let unreadMax = 0;
      let readBytes = 0;
      const object = await bucket.get(key);
      assert.equal(object?.bytes, bytes);
      for await (const chunk of object?.body ?? []) {
        readBytes += chunk.byteLength;
        if (sent === null) continue;
        // Gives an adapter the time to read ahead.
        await new Promise((resolve) => setTimeout(resolve, 0));
        unreadMax = Math.max(unreadMax, sent() - sentBefore - readBytes);
      }
      assert.equal(readBytes, bytes);
      assert.ok(unreadMax <= IN_FLIGHT_BYTES_MAX, `${unreadMax} bytes of a get were in flight`);
    },
  };
}

/** The promises that every adapter keeps. */
export const BUCKET_CASES: readonly BucketCase[] = [
  ...ROUND_TRIPS,
  ...WRONG_BODIES,
  ...OBJECTS,
  ...MULTIPART,
  createMemoryCase(16),
];

/** The same promises, with larger bodies. They take seconds. */
export const LARGE_BUCKET_CASES: readonly BucketCase[] = [createMemoryCase(64)];
