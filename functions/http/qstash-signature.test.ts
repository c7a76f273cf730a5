import { Receiver } from '@upstash/qstash';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { sign } from '../../dev/emulators/qstash-delivery.ts';
import { type DeliveryToSign, PUBLIC_URL, signDelivery } from '../../test/http/sign-delivery.ts';
import { createApp } from '../app.ts';
import { composeWorker } from '../compose-worker.ts';

const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
const NOW = NOW_MS / 1_000;
const [CURRENT, NEXT, OTHER] = ['sig_current', 'sig_next', 'sig_other'];
const SPACE = '{"tenantId":"t","spaceId":"s"}';
const URL_SIGNED = `${PUBLIC_URL}/jobs/drain`;
/** Nothing listens there, so a request that asks a store is answered 503. */
const NOWHERE = 'http://127.0.0.1:9';

const ENV = {
  DATABASE_URL: 'postgresql://u:p@127.0.0.1:9/d',
  DATABASE_HTTP_URL: `${NOWHERE}/sql`,
  UPSTASH_REDIS_REST_URL: NOWHERE,
  UPSTASH_REDIS_REST_TOKEN: 'token',
  QSTASH_TOKEN: 'token',
  QSTASH_CURRENT_SIGNING_KEY: CURRENT,
  QSTASH_NEXT_SIGNING_KEY: NEXT,
  PUBLIC_URL,
  LOG_LEVEL: 'silent',
};

/** The app, and what of it a call has touched: jobs here are counted, and done in no time. */
function openApp({ env = {}, nowMs = NOW_MS }: { env?: Partial<typeof ENV>; nowMs?: number } = {}) {
  const touched: string[] = [];
  /** The answer, after noting the address that was asked. */
  const noting = async <T>(what: string, answer: T): Promise<T> => {
    touched.push(what);
    return answer;
  };
  const report = { operations: 0, entries: 0, batches: 0 };
  const app = createApp({
    ...composeWorker({ ...ENV, ...env }),
    now: () => nowMs,
    finishedJobs: {
      isFinished: (id) => noting(`asked ${id}`, false),
      markFinished: (id) => noting(`marked ${id}`, undefined),
    },
    drains: {
      drainSpace: ({ tenantId, spaceId }) =>
        noting(`drained ${tenantId}!${spaceId}`, { ...report, status: 'drained', seq: 0 }),
      sweep: () => noting('swept', { ...report, spaces: 0, left: 0 }),
    },
  });
  const post = (
    signature: string | null,
    body: string | Uint8Array<ArrayBuffer> = SPACE,
    path = '/jobs/drain',
  ) =>
    app.request(path, {
      method: 'POST',
      ...(body !== '' && { body }),
      headers: signature === null ? {} : { 'Upstash-Signature': signature },
    });
  return { post, touched };
}

const signed = (changes: Partial<DeliveryToSign> = {}) =>
  signDelivery({ body: SPACE, key: CURRENT, nowMs: NOW_MS, ...changes });
const claiming = (claims: DeliveryToSign['claims'] = {}) => signed({ claims });
const padded = (text: string) => text + '='.repeat((4 - (text.length % 4)) % 4);

describe('a delivery is taken', () => {
  it.each<[string, () => Promise<string>]>([
    ['as QStash signs it', () => signed()],
    ['signed with the next key already', () => signed({ key: NEXT })],
    ['whose clock is a little behind', () => signed({ nowMs: NOW_MS - 310_000 })],
    ['whose clock is a little ahead', () => signed({ nowMs: NOW_MS + 10_000 })],
  ])('%s', async (_, sign) => {
    const { post, touched } = openApp();
    const response = await post(await sign());
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: 'drained' });
    expect(touched).toEqual([
      expect.stringMatching(/^asked jwt-/),
      'drained t!s',
      expect.stringMatching(/^marked jwt-/),
    ]);
  });

  it('with or without padding behind the hash of its body', async () => {
    const { post } = openApp();
    const hash = JSON.parse(Buffer.from((await signed()).split('.')[1] ?? '', 'base64url').toString()).body;
    expect(padded(hash)).not.toBe(hash);
    expect((await post(await claiming({ body: padded(hash) }))).status).toBe(200);
  });

  it('on this machine, with the public development keys', async () => {
    const keys = {
      QSTASH_CURRENT_SIGNING_KEY: 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r',
      QSTASH_NEXT_SIGNING_KEY: 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs',
    };
    const { post } = openApp({ env: { ...keys, PUBLIC_URL: 'http://localhost:8787' } });
    const claims = { sub: 'http://localhost:8787/jobs/drain' };
    for (const key of Object.values(keys))
      expect((await post(await signed({ key, claims }))).status).toBe(200);
    // Elsewhere they are refused before anything is served.
    expect(() => openApp({ env: keys })).toThrow(/QSTASH_CURRENT_SIGNING_KEY/);
  });
});

describe('a delivery is answered 401, and nothing is touched,', () => {
  const key = new TextEncoder().encode(CURRENT);
  const payload = async () =>
    JSON.parse(Buffer.from((await signed()).split('.')[1] ?? '', 'base64url').toString());

  it.each<[string, () => Promise<string | null>]>([
    ['without a signature', async () => null],
    ['with an empty one', async () => ''],
    ['with text that is no signature', async () => 'a.b.c'],
    ['with half of one', async () => (await signed()).slice(0, -10)],
    ['signed with another key', () => signed({ key: OTHER })],
    ['signed with no key', async () => new UnsecuredJWT(await payload()).encode()],
    [
      'signed in another way',
      async () => new SignJWT(await payload()).setProtectedHeader({ alg: 'HS512' }).sign(key),
    ],
    ['of another issuer', () => claiming({ iss: 'upstash' })],
    ['without an issuer', () => claiming({ iss: undefined })],
    ['to another host', () => claiming({ sub: 'https://elsewhere.example/jobs/drain' })],
    ['to another path', () => signed({ path: '/jobs/cleanup' })],
    ['with a query that it has not', () => signed({ path: '/jobs/drain?a=b' })],
    ['without a destination', () => claiming({ sub: undefined })],
    ['that has ended', () => signed({ nowMs: NOW_MS - 316_000 })],
    ['that never ends', () => claiming({ exp: undefined })],
    ['that ends in an hour', () => claiming({ exp: NOW + 3_600 })],
    ['that begins later', () => claiming({ nbf: NOW + 20 })],
    ['that never begins', () => claiming({ nbf: undefined })],
    ['whose times are no numbers', () => claiming({ exp: 'soon' })],
    ['without an id', () => claiming({ jti: undefined })],
    ['with an empty id', () => claiming({ jti: '' })],
    ['with an id of any length', () => claiming({ jti: 'x'.repeat(257) })],
    ['of another body', () => signed({ body: SPACE.replace('"s"', '"z"') })],
    ['of no body', () => signed({ body: '' })],
    ['that says nothing of its body', () => claiming({ body: undefined })],
  ])('%s', async (_, sign) => {
    const { post, touched } = openApp();
    const response = await post(await sign());
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      code: 'unauthorized',
      detail: 'Only QStash can call this route. The request has no valid QStash signature.',
    });
    expect(touched).toEqual([]);
  });

  it('at another path than was signed', async () => {
    const { post, touched } = openApp();
    expect((await post(await signed(), SPACE, '/jobs/drain?a=b')).status).toBe(401);
    expect(touched).toEqual([]);
  });

  it('when the clock here has gone on', async () => {
    const signature = await signed();
    const later = openApp({ nowMs: NOW_MS + 316_000 });
    expect((await later.post(signature)).status).toBe(401);
    expect(later.touched).toEqual([]);
  });

  it('where no QStash is configured', async () => {
    const none = { QSTASH_TOKEN: '', QSTASH_CURRENT_SIGNING_KEY: '', QSTASH_NEXT_SIGNING_KEY: '' };
    const { post, touched } = openApp({ env: none });
    expect((await post(await signed())).status).toBe(401);
    expect(touched).toEqual([]);
  });

  it('and one too large 413', async () => {
    const { post, touched } = openApp();
    const body = JSON.stringify({ tenantId: 't', spaceId: 's'.repeat(20_000) });
    expect((await post(await signed({ body }), body)).status).toBe(413);
    expect(touched).toEqual([]);
  });
});

describe('the local queue, QStash and these functions', () => {
  const url = 'https://worldkeep.example/jobs/drain';
  const nowMs = Date.now();

  it.each([
    ['a space', SPACE],
    ['nothing', ''],
    ['text beyond ASCII', '{"tenantId":"t","spaceId":"ü💡"}'],
  ])('agree on a body of %s', async (_, body) => {
    const receiver = new Receiver({ currentSigningKey: NEXT, nextSigningKey: CURRENT, devMode: false });
    const signature = sign(url, Buffer.from(body), CURRENT);
    expect(await receiver.verify({ signature, body, url })).toBe(true);
    const { post } = openApp({ nowMs });
    expect((await post(signature, body)).status).not.toBe(401);
    const forged = sign(url, Buffer.from(body), OTHER);
    await expect(receiver.verify({ signature: forged, body, url })).rejects.toThrow();
    expect((await post(forged, body)).status).toBe(401);
  });

  it('agree on what a test signs', async () => {
    const receiver = new Receiver({ currentSigningKey: CURRENT, nextSigningKey: NEXT, devMode: false });
    const signature = await signDelivery({ body: SPACE, key: CURRENT });
    expect(await receiver.verify({ signature, body: SPACE, url: URL_SIGNED })).toBe(true);
  });
});
