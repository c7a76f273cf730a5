import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createR2Bucket, type R2Binding } from './r2-bucket.ts';
import { makeBody, makeBytes } from './testing/bodies.ts';
import { describeCases } from './testing/bucket-contract.ts';
import { type AskInit, type R2Target, startR2Target } from './testing/r2-target.ts';

let target: R2Target;
beforeAll(async () => {
  target = await startR2Target();
});
afterAll(() => target.stop());

describeCases('an R2 binding', (bucketCase) => target.runCase(bucketCase));

describe('an R2 binding', () => {
  const put = (key: string, bytes: number, body: AskInit['body'] & {}) =>
    target.ask(`/put?key=${key}&bytes=${bytes}`, { method: 'PUT', body });
  const head = async (key: string) => (await target.ask(`/head?key=${key}`)).result;

  it.each([
    ['with a length', (bytes: Uint8Array<ArrayBuffer>) => bytes],
    ['in chunks', (bytes: Uint8Array<ArrayBuffer>) => makeBody([bytes.slice(0, 9), bytes.slice(9)]).stream],
  ])('stores the body of a request %s, and refuses a longer or shorter one', async (_, send) => {
    const bytes = Uint8Array.from(makeBytes(300_000));
    expect(await put('request/right', 300_000, send(bytes))).toEqual({ result: null });
    expect(await put('request/long', 299_999, send(bytes))).toMatchObject({ error: 'length_mismatch' });
    expect(await put('request/short', 300_001, send(bytes))).toMatchObject({ error: 'length_mismatch' });
    expect(await head('request/right')).toEqual({ bytes: 300_000 });
    expect(await head('request/long')).toBeNull();
    expect(await head('request/short')).toBeNull();
  });

  it('stores nothing if the client goes away', async () => {
    const { stream } = makeBody([makeBytes(100_000)], { failure: new Error('gone') });
    await expect(put('request/gone', 300_000, stream)).rejects.toThrow();
    expect(await head('request/gone')).toBeNull();
  });

  it('names the binding of a bucket that does not exist', async () => {
    const answer = await target.ask('/refused?key=a', {
      method: 'PUT',
      body: makeBody([makeBytes(9)]).stream,
    });
    expect(answer).toMatchObject({
      error: 'store_unavailable',
      text: expect.stringContaining('The R2 bucket of the binding ASSETS_BUCKET does not exist.'),
    });
  });

  it('deletes more keys than one request of R2 takes', async () => {
    await put('many/1500', 1, Uint8Array.of(1));
    expect(await target.ask('/delete-many?key=many&count=1500', { method: 'POST' })).toEqual({
      result: null,
    });
    expect(await head('many/1500')).toBeNull();
  });

  it('works only on Workers', () => {
    expect(() => createR2Bucket({} as R2Binding, 'ASSETS_BUCKET')).toThrow(
      expect.objectContaining({ code: 'misconfigured' }),
    );
  });
});
