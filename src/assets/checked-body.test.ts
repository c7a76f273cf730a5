import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CheckedBody } from './checked-body.ts';
import { makeBody, makeBytes, readAll } from './testing/bodies.ts';

/** Reads until the end or an error. @returns the number of bytes before it */
async function countBytes(body: CheckedBody): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of body.stream) bytes += chunk.byteLength;
  } catch {
    // The body keeps its failure.
  }
  return bytes;
}

const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a checked body', () => {
  it.each([
    ['a wrong digest', 300, 'digest_mismatch'],
    ['too many bytes', 299, 'length_mismatch'],
    ['too few bytes', 301, 'length_mismatch'],
  ])('never delivers the whole of a body with %s', async (_, bytes, code) => {
    const source = makeBody([makeBytes(100), makeBytes(100), makeBytes(100)]);
    const digest = { sha256: new Uint8Array(32), hash: createHash('sha256') };
    const body = new CheckedBody(source.stream, { bytes, digest });
    expect(await countBytes(body)).toBeLessThan(Math.min(bytes, 300));
    expect(body.failure).toMatchObject({ error: { code } });
    expect(body.isComplete).toBe(false);
  });

  it('delivers a correct body, and skips empty chunks', async () => {
    const bytes = makeBytes(200);
    const sha256 = createHash('sha256').update(bytes).digest();
    const { stream } = makeBody([
      new Uint8Array(0),
      bytes.slice(0, 150),
      new Uint8Array(0),
      bytes.slice(150),
    ]);
    const body = new CheckedBody(stream, { bytes: 200, digest: { sha256, hash: createHash('sha256') } });
    expect(await readAll(body.stream)).toEqual(bytes);
    expect([body.isComplete, body.failure]).toEqual([true, null]);
  });

  it('has no failure of its own after its reader cancels it', async () => {
    let isCancelled = false;
    const source = new ReadableStream<Uint8Array>({
      pull: () => new Promise(() => undefined),
      cancel() {
        isCancelled = true;
      },
    });
    const body = new CheckedBody(source, { bytes: 300 });
    const reader = body.stream.getReader();
    const pending = reader.read();
    await nextTurn();
    await reader.cancel();
    await pending;
    await nextTurn();
    expect(isCancelled).toBe(true);
    expect(body.failure).toBeNull();
  });
});
