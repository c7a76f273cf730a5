import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/world/limits.ts';
import { type Answer, type Call, createCall, type Door, openSpace } from '../client.ts';
import { makeGlb, PNG } from '../glb.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';

const hexOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const digestOf = (bytes: Uint8Array) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
const refusalOf = ({ status, body }: Answer) => [status, body.code];

function upload(
  call: Call,
  bytes: Uint8Array<ArrayBuffer>,
  { path = '/v1/models', query = '?name=chair.glb', ...headers }: Record<string, string> = {},
): Promise<Answer> {
  const type = path.includes('media') ? 'application/octet-stream' : 'model/gltf-binary';
  return call('POST', path + query, {
    text: bytes,
    headers: { 'Content-Type': type, 'Content-Length': String(bytes.length), ...headers },
  });
}

/** The bytes of a file. The call of other tests reads text. */
async function download(target: Target, apiKey: string, path: string, headers: Record<string, string> = {}) {
  const response = await target.fetch(path, { headers: { Authorization: `Bearer ${apiKey}`, ...headers } });
  return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
}

export function describeAssets(target: () => Target): void {
  describe('models and media', () => {
    let door: Door & { at: string };
    let apiKey: string;
    beforeAll(async () => {
      door = await openSpace(target());
      apiKey = await door.apiKey(['read', 'write']);
    });

    it('[A1] are stored, inspected, listed and returned byte for byte', async () => {
      const file = makeGlb({ filler: 300_000 });
      const { status, body, headers } = await upload(door.call, file);
      expect(status).toBe(201);
      expect(headers.get('Location')).toBe(`/v1/models/${body.id}`);
      expect(body).toMatchObject({
        name: 'chair.glb',
        url: `/v1/models/${body.id}/file`,
        sha256: hexOf(file),
        bytes: file.length,
        contentType: 'model/gltf-binary',
        details: {
          ...{
            format: 'glb',
            version: '2.0',
            nodes: 1,
            meshes: 1,
            materials: 0,
            triangles: 1,
            extensions: [],
          },
          boundingBox: { min: { x: 1, y: 0, z: 0 }, max: { x: 2, y: 2, z: 0 } },
        },
      });
      expect((await door.call('GET', `/v1/models/${body.id}`)).body).toEqual(body);
      expect((await door.call('GET', '/v1/models')).body.items).toContainEqual(body);
      const { response, bytes } = await download(target(), apiKey, body.url);
      expect(Buffer.from(bytes).equals(file)).toBe(true);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'content-type': 'model/gltf-binary',
        'content-length': String(file.length),
        'content-disposition': "attachment; filename*=UTF-8''chair.glb",
        'cache-control': 'private, max-age=31536000, immutable',
        etag: `"${hexOf(file)}"`,
        'x-content-type-options': 'nosniff',
        'content-security-policy': 'sandbox',
      });
      const media = await upload(door.call, PNG, {
        path: '/v1/media',
        query: '',
        'Content-Disposition': `attachment; filename="a b.png"`,
      });
      expect(media.body).toMatchObject({
        name: 'a b.png',
        contentType: 'image/png',
        details: { width: 1, height: 1 },
      });
    });

    it('[A2] are served in ranges, and not again to a caller who has them', async () => {
      const file = makeGlb({ filler: 1_000 });
      const { url } = (await upload(door.call, file)).body;
      const get = (headers: Record<string, string>) => download(target(), apiKey, url, headers);
      const last = file.length - 1;
      for (const [range, from, to] of [
        ['bytes=0-0', 0, 0],
        ['bytes=100-', 100, last],
        ['bytes=-4', last - 3, last],
        [`bytes=10-${file.length + 50}`, 10, last],
      ] as const) {
        const { response, bytes } = await get({ Range: range });
        expect([range, response.status, response.headers.get('Content-Range')]).toEqual([
          ...[range, 206],
          `bytes ${from}-${to}/${file.length}`,
        ]);
        expect(Buffer.from(bytes).equals(file.subarray(from, to + 1))).toBe(true);
      }
      const { response: bad } = await get({ Range: `bytes=${file.length}-` });
      expect([bad.status, bad.headers.get('Content-Range')]).toEqual([416, `bytes */${file.length}`]);
      for (const range of ['bytes=0-1,3-4', 'lines=1-2', 'bytes=9-3'])
        expect((await get({ Range: range })).response.status).toBe(200);
      const etag = `"${hexOf(file)}"`;
      expect((await get({ Range: 'bytes=0-0', 'If-Range': '"other"' })).response.status).toBe(200);
      expect((await get({ Range: 'bytes=0-0', 'If-Range': etag })).response.status).toBe(206);
      expect((await get({ 'If-None-Match': etag })).response.status).toBe(304);
      const head = await target().fetch(url, {
        method: 'HEAD',
        headers: { Authorization: `Bearer ${apiKey}`, Range: 'bytes=0-0' },
      });
      expect([head.status, await head.text()]).toEqual([200, '']);
    });

    it('[A3] have the same bytes once, until the last of them is deleted', async () => {
      const file = makeGlb();
      const [first, second] = [(await upload(door.call, file)).body, (await upload(door.call, file)).body];
      expect(first.id).not.toBe(second.id);
      expect(first.sha256).toBe(second.sha256);
      expect((await door.call('DELETE', `/v1/models/${first.id}`)).status).toBe(204);
      const read = async ({ url }: { url: string }) =>
        (await download(target(), apiKey, url)).response.status;
      expect([await read(first), await read(second)]).toEqual([404, 200]);
      const known = await upload(door.call, new Uint8Array(), { 'Repr-Digest': digestOf(file) });
      expect([known.status, known.body.details]).toEqual([201, second.details]);
      for (const { id } of [second, known.body])
        expect((await door.call('DELETE', `/v1/models/${id}`)).status).toBe(204);
      const gone = await upload(door.call, new Uint8Array(), { 'Repr-Digest': digestOf(file) });
      expect(gone.status).toBe(404);
      expect((await door.call('DELETE', `/v1/models/${first.id}`)).status).toBe(404);
    });

    it('[A4] are checked by the announced digest and length', async () => {
      const file = makeGlb();
      expect((await upload(door.call, file, { 'Repr-Digest': digestOf(file) })).status).toBe(201);
      expect((await upload(door.call, file, { 'Repr-Digest': digestOf(file) })).status).toBe(201);
      const other = await upload(door.call, makeGlb(), { 'Repr-Digest': digestOf(file) });
      expect(refusalOf(other)).toEqual([422, 'digest_mismatch']);
      const fresh = await upload(door.call, makeGlb(), { 'Repr-Digest': digestOf(makeGlb()) });
      expect(refusalOf(fresh)).toEqual([422, 'digest_mismatch']);
      expect(refusalOf(await upload(door.call, file, { 'Repr-Digest': 'sha-256=:short:' }))).toEqual([
        422,
        'validation_failed',
      ]);
      const stream = new Blob([file]).stream();
      const chunked = await target().fetch('/v1/models', {
        method: 'POST',
        headers: { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'model/gltf-binary' },
        body: stream,
      });
      expect([chunked.status, ((await chunked.json()) as { code: string }).code]).toEqual([
        411,
        'length_required',
      ]);
      expect(refusalOf(await upload(door.call, new Uint8Array()))).toEqual([422, 'validation_failed']);
    });

    it('[A4] nothing is added by a body that breaks off', async () => {
      const own = await openSpace(target());
      const key = await own.apiKey(['write']);
      const file = makeGlb({ filler: 200_000 });
      const { host = '', port = 0 } = target().address ?? {};
      const socket = connect(port, host);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined);
      socket.write(
        `POST /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: model/gltf-binary\r\nContent-Length: ${file.length}\r\n\r\n`,
      );
      socket.write(file.subarray(0, 100_000));
      setTimeout(() => socket.destroy(), 300);
      await closed;
      expect((await own.call('GET', '/v1/models')).body.items).toEqual([]);
      expect((await upload(own.call, file)).status).toBe(201);
    });

    it.each([
      [
        'HTML',
        new TextEncoder().encode('<html><script>alert(1)</script></html>'),
        /begins with the bytes 3c 68/,
      ],
      ['an image', PNG, /begins with the bytes 89 50 4e 47/],
      ['glTF 1', new TextEncoder().encode('{"asset":{"version":"1.0"}}'), /\/asset\/version is "1.0"/],
      ['broken JSON', new TextEncoder().encode('{"asset":'), /JSON of the file is not valid/],
      ['a false length', makeGlb().with(8, 1), /The header says \d+ bytes, but the file has \d+/],
      [
        '500 MiB of JSON',
        makeGlb().with(15, 0x1f),
        /The JSON chunk declares \d{9} bytes, but can have at most 16777216/,
      ],
      [
        'an index that is too high',
        makeGlb({ json: { nodes: [{ mesh: 7 }] } }),
        /\/nodes\/0\/mesh names 7, but there is only 1 mesh/,
      ],
      [
        'a node inside itself',
        makeGlb({ json: { nodes: [{ children: [1] }, { children: [0] }] } }),
        /is inside itself/,
      ],
      [
        'another file',
        makeGlb({ json: { images: [{ uri: 'sky.png' }] } }),
        /\/images\/0\/uri names another file/,
      ],
      [
        'an extension that no viewer reads',
        makeGlb({ json: { extensionsUsed: ['ACME_x'], extensionsRequired: ['ACME_x'] } }),
        /\/extensionsRequired names ACME_x/,
      ],
      [
        'an accessor that is too long',
        makeGlb({ json: { accessors: [{ bufferView: 0, componentType: 5126, count: 9, type: 'VEC3' }] } }),
        /\/accessors\/0 ends at byte 108 of its buffer view/,
      ],
    ])('[A5] a model must not be %s', async (_, file, sentence) => {
      const answer = await upload(door.call, file as Uint8Array<ArrayBuffer>);
      expect(refusalOf(answer)).toEqual([422, 'invalid_file']);
      expect(answer.body.detail).toMatch(sentence);
    });

    it.each([
      [
        'SVG with a script',
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        'image/svg+xml',
      ],
      ['HTML that is declared as PNG', '<html><script>alert(1)</script></html>', 'image/png'],
      ['text', 'hello', 'text/plain'],
    ])('[A6] media must not be %s', async (_, text, type) => {
      const answer = await upload(door.call, new TextEncoder().encode(text), {
        path: '/v1/media',
        'Content-Type': type,
      });
      expect(refusalOf(answer)).toEqual([422, 'invalid_file']);
    });

    it('[A6] media must have the declared type', async () => {
      const answer = await upload(door.call, PNG, { path: '/v1/media', 'Content-Type': 'audio/mpeg' });
      expect(answer.body.detail).toBe(
        'The file is declared as audio/mpeg, but its first bytes say image/png.',
      );
    });

    it.each(['..%2Fetc', 'a%2Fb', 'a%5Cb', 'a%00b', 'a%0Ab', '', 'x'.repeat(257)])(
      '[A7] refuses the name %j',
      async (name) => {
        const answer = await upload(door.call, makeGlb(), { query: `?name=${name}` });
        expect([answer.status, answer.body.errors[0].path]).toEqual([422, '/name']);
      },
    );

    it('[A8] may be an address, which is stored and not fetched', async () => {
      const json = { name: 'Far', url: 'https://nowhere.invalid/far.glb' };
      const { status, body } = await door.call('POST', '/v1/models', { json });
      expect([status, body]).toMatchObject([201, { ...json, sha256: null, bytes: null, details: null }]);
      expect((await door.call('GET', `/v1/models/${body.id}/file`)).status).toBe(404);
      expect((await door.call('DELETE', `/v1/models/${body.id}`)).status).toBe(204);
      const bad = await door.call('POST', '/v1/models', { json: { name: 'x', url: 'file:///etc/passwd' } });
      expect(refusalOf(bad)).toEqual([422, 'validation_failed']);
    });

    it('[T1] another tenant learns nothing: of an id, of bytes, of an upload', async () => {
      const file = makeGlb();
      const { id } = (await upload(door.call, file)).body;
      const stranger = await openSpace(target());
      const ask = async (method: string, path: string, headers: Record<string, string> = {}) => {
        const { status, text, body } = await stranger.call(method, path, { headers });
        return [status, text.replaceAll(body.requestId, 'R').replaceAll(/[0-9a-f-]{36}/g, 'ID')];
      };
      const nobody = crypto.randomUUID();
      for (const [method, suffix] of [
        ['GET', ''],
        ['GET', '/file'],
        ['DELETE', ''],
      ] as const)
        expect(await ask(method, `/v1/models/${id}${suffix}`)).toEqual(
          await ask(method, `/v1/models/${nobody}${suffix}`),
        );
      const known = await upload(stranger.call, new Uint8Array(), { 'Repr-Digest': digestOf(file) });
      const unknown = await upload(stranger.call, new Uint8Array(), { 'Repr-Digest': digestOf(makeGlb()) });
      const strip = ({ text, body }: Answer) => text.replaceAll(body.requestId, 'R');
      expect([known.status, strip(known)]).toEqual([404, strip(unknown)]);
      expect(known.body.detail).toBe('Worldkeep cannot find these bytes.');
      expect((await stranger.call('GET', '/v1/models')).body.items).toEqual([]);
    });

    it('[A9] a session uploads as an editor, and reads what its space shows', async () => {
      const own = await openSpace(target());
      for (const id of ['ann', 'bob'])
        await own.call('PUT', `/v1/users/${id}`, { json: { displayName: id } });
      const editor = await openSession(target(), own, { userId: 'ann', role: 'editor' });
      const viewer = await openSession(target(), own, { userId: 'bob', role: 'viewer' });
      const { status, body } = await upload(editor.call, makeGlb());
      expect(status).toBe(201);
      expect((await upload(viewer.call, makeGlb())).status).toBe(403);
      const read = async () => [
        (await viewer.call('GET', `/v1/models/${body.id}`)).status,
        (await download(target(), viewer.token, body.url)).response.status,
      ];
      expect(await read()).toEqual([404, 404]);
      const ops = [{ op: 'put', id: 'chair', modelId: body.id }];
      await own.call('POST', `${own.at}/updates`, { json: { ops } });
      expect(await read()).toEqual([200, 200]);
      const state = (await viewer.call('GET', `${own.at}/state`)).body;
      expect(state.models).toMatchObject([{ id: body.id, sha256: body.sha256 }]);
      for (const [method, path] of [
        ['GET', '/v1/models'],
        ['DELETE', `/v1/models/${body.id}`],
      ] as const)
        expect((await editor.call(method, path)).status).toBe(403);
      await own.call('DELETE', `/v1/models/${body.id}`);
      expect((await viewer.call('GET', `${own.at}/state`)).body.models).toEqual([]);
    });

    it('[S10c] an upload changes the ETag of no state', async () => {
      const own = await openSpace(target());
      const etag = async () => (await own.call('GET', `${own.at}/state`)).headers.get('ETag');
      const before = await etag();
      await upload(own.call, makeGlb());
      expect(await etag()).toBe(before);
    });

    it('[A10] are uploaded in parts, which may be sent again and resumed', async () => {
      const file = makeGlb({ filler: LIMITS.assetPartBytes + 1_000_000 });
      const begun = await door.call('POST', '/v1/models/uploads', {
        json: { name: 'city.glb', bytes: file.length },
      });
      expect(begun.status).toBe(201);
      const { id, partBytes, parts } = begun.body;
      expect([partBytes, parts, begun.body.missing]).toEqual([LIMITS.assetPartBytes, 2, [1, 2]]);
      const path = `/v1/models/uploads/${id}`;
      const put = (part: number, bytes: Uint8Array<ArrayBuffer>) =>
        door.call('PUT', `${path}/parts/${part}`, {
          text: bytes,
          headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(bytes.length) },
        });
      expect((await put(2, file.slice(partBytes))).status).toBe(204);
      expect(refusalOf(await door.call('POST', `${path}/complete`))).toEqual([409, 'conflict']);
      // Another client continues.
      const other = createCall(target(), apiKey);
      expect((await other('GET', path)).body.missing).toEqual([1]);
      expect(refusalOf(await put(1, file.slice(0, 1_000)))).toEqual([422, 'validation_failed']);
      expect(refusalOf(await put(3, file.slice(0, 1_000)))).toEqual([422, 'validation_failed']);
      expect((await put(1, new Uint8Array(partBytes))).status).toBe(204);
      expect((await put(1, file.slice(0, partBytes))).status).toBe(204);
      const { status, body } = await other('POST', `${path}/complete`);
      expect([status, body.sha256, body.bytes]).toEqual([201, hexOf(file), file.length]);
      const { bytes } = await download(target(), apiKey, body.url);
      expect(Buffer.from(bytes).equals(file)).toBe(true);
      expect((await other('GET', path)).status).toBe(404);
    });

    it('[A10] a file in parts is checked as a whole, and can be given up', async () => {
      const begin = async (bytes: number) =>
        (await door.call('POST', '/v1/models/uploads', { json: { name: 'x.glb', bytes } })).body.id;
      const bad = await begin(1_000);
      const path = `/v1/models/uploads/${bad}`;
      await door.call('PUT', `${path}/parts/1`, {
        text: new Uint8Array(1_000),
        headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': '1000' },
      });
      expect(refusalOf(await door.call('POST', `${path}/complete`))).toEqual([422, 'invalid_file']);
      expect((await door.call('GET', path)).status).toBe(404);
      const given = await begin(5_000);
      expect((await door.call('GET', `/v1/media/uploads/${given}`)).status).toBe(404);
      expect((await door.call('DELETE', `/v1/models/uploads/${given}`)).status).toBe(204);
      expect((await door.call('DELETE', `/v1/models/uploads/${given}`)).status).toBe(404);
      const tooLarge = { name: 'x', bytes: 2 ** 40 };
      expect(refusalOf(await door.call('POST', '/v1/models/uploads', { json: tooLarge }))).toEqual([
        413,
        'body_too_large',
      ]);
    });

    it('saving a world changes no stored file', async () => {
      const file = makeGlb();
      const { body } = await upload(door.call, file);
      const models = [{ ...body, name: 'Other', url: 'https://evil.example/x', sha256: 'ab'.repeat(32) }].map(
        ({ details, ...model }) => model,
      );
      const saved = await door.call('PUT', `${door.at}/state`, { json: { objects: [], models } });
      expect(saved.status).toBe(200);
      expect((await door.call('GET', `/v1/models/${body.id}`)).body).toEqual(body);
    });
  });
}

/** A deployment without a bucket keeps addresses, and says that it stores no bytes. */
export function describeNoAssets(target: () => Target): void {
  describe('models and media, without a bucket', () => {
    it('stores addresses, and answers bytes with 501', async () => {
      const door = await openSpace(target());
      const json = { name: 'Far', url: 'https://models.example/far.glb' };
      expect((await door.call('POST', '/v1/models', { json })).status).toBe(201);
      expect(refusalOf(await upload(door.call, makeGlb()))).toEqual([501, 'no_asset_store']);
      const begun = await door.call('POST', '/v1/media/uploads', { json: { name: 'x', bytes: 5 } });
      expect(refusalOf(begun)).toEqual([501, 'no_asset_store']);
    });
  });
}
