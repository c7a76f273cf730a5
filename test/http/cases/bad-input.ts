import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/world/limits.ts';
import { type Answer, type CallOptions, type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';

const MIB = 1024 * 1024;
const BODY_BYTES_MAX = MIB;

/** JSON that is refused as the value of any member: a description, the text, and the path of the fault inside the member. */
const UNKEEPABLE: [what: string, json: string, path: string][] = [
  ['a number above what a double holds', '1e400', ''],
  ['NUL in text', '"a\\u0000b"', ''],
  ['a lone surrogate in text', '"\\ud800"', ''],
  ['NUL in a key', '{"a\\u0000":1}', '/a\u0000'],
  ['a lone surrogate in a key', '{"\\udfff":1}', '/\ufffd'],
  ['__proto__ as a key', '{"__proto__":{"polluted":true}}', '/__proto__'],
];

export function describeBadInput(target: () => Target): void {
  describe('bad input', () => {
    let door: Door & { at: string };
    let before: string;
    beforeAll(async () => {
      door = await openSpace(target());
      await door.call('PUT', `${door.at}/objects/there`, { json: { name: 'there', properties: { a: 1 } } });
      before = await readAll();
    });

    /** Reads all data of the tenant as text, so that a refused write can be shown to change nothing. */
    async function readAll(): Promise<string> {
      const paths = ['/v1/spaces', '/v1/keys?limit=1000', `${door.at}/state`];
      const answers = await Promise.all(paths.map((path) => door.call('GET', path)));
      return answers.map(({ text }) => text).join('\n');
    }

    async function expectRefusal(
      [method, path, options]: [method: string, path: string, options?: CallOptions],
      [status, code, errorPath]: [status: number, code: string, path?: string],
    ): Promise<Answer> {
      const answer = await door.call(method, path, options);
      expect([answer.status, answer.body?.code]).toEqual([status, code]);
      expect(answer.headers.get('Content-Type')).toBe('application/problem+json');
      if (errorPath !== undefined) expect(answer.body.errors[0]?.path).toBe(errorPath);
      expect(await readAll()).toBe(before);
      return answer;
    }

    const routes = (): [string, string][] => [
      ['PUT', '/v1/spaces/new'],
      ['PUT', `${door.at}/objects/new`],
      ['PATCH', `${door.at}/objects/there`],
      ['PUT', `${door.at}/state`],
      ['POST', '/v1/keys'],
      ['PUT', '/v1/users/new'],
      ['POST', '/v1/sessions'],
    ];

    it.each([
      ['text that is no JSON', 'nonsense'],
      ['JSON that ends too early', '{"name":"a"'],
      ['JSON with a comma too many', '{"name":"a",}'],
      ['nothing', ''],
      ['JSON that is not UTF-8', Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
      ['a string cut inside a character', Uint8Array.from([0x22, 0xe2, 0x82])],
    ])('refuses %s on every route that takes a body', async (_, text) => {
      for (const [method, path] of routes())
        await expectRefusal([method, path, { text }], [422, 'malformed_json', '']);
    });

    it.each(UNKEEPABLE)('refuses %s, and says where', async (_, json, fault) => {
      await expectRefusal(
        ['PUT', '/v1/spaces/new', { text: `{"name":"n","settings":{"k":${json}}}` }],
        [422, 'validation_failed', `/settings/k${fault}`],
      );
      await expectRefusal(
        ['PUT', `${door.at}/objects/new`, { text: `{"properties":{"k":[${json}]}}` }],
        [422, 'validation_failed', `/properties/k/0${fault}`],
      );
      await expectRefusal(
        ['PATCH', `${door.at}/objects/there`, { text: `{"properties":{"k":${json}}}` }],
        [422, 'validation_failed', `/properties/k${fault}`],
      );
      await expectRefusal(
        ['PUT', `${door.at}/state`, { text: `{"objects":[{"id":"a"},{"id":"b","properties":${json}}]}` }],
        [422, 'validation_failed', `/objects/1/properties${fault}`],
      );
      await expectRefusal(
        ['POST', '/v1/keys', { text: `{"scopes":${json}}` }],
        [422, 'validation_failed', `/scopes${fault}`],
      );
      await expectRefusal(
        ['PUT', '/v1/users/new', { text: `{"displayName":"n","properties":{"k":${json}}}` }],
        [422, 'validation_failed', `/properties/k${fault}`],
      );
      await expectRefusal(
        ['POST', '/v1/sessions', { text: `{"userId":${json}}` }],
        [422, 'validation_failed', `/userId${fault}`],
      );
    });

    it('refuses ids of only dots in every place that takes an id', async () => {
      const state = (member: object) => ({ json: { objects: [], ...member } });
      const updates = (op: object) => ({ json: { ops: [op] } });
      const session = { userId: 'ada', spaceId: 'main' };
      const places: [method: string, path: string, options: CallOptions, errorPath: string][] = [
        ['PUT', '/v1/spaces/...', { json: { name: 'n' } }, '/space'],
        ['PUT', `${door.at}/objects/...`, { json: {} }, '/id'],
        ['PUT', `${door.at}/objects/new`, { json: { parentId: '..' } }, '/parentId'],
        ['PATCH', `${door.at}/objects/there`, { json: { modelId: '.' } }, '/modelId'],
        ['PUT', '/v1/users/...', { json: { displayName: 'n' } }, '/id'],
        ['POST', '/v1/sessions', { json: { ...session, userId: '..' } }, '/userId'],
        ['POST', '/v1/sessions', { json: { ...session, spaceId: '..' } }, '/spaceId'],
        ['POST', '/v1/sessions/.../heartbeat', {}, '/id'],
        ['DELETE', '/v1/keys/...', {}, '/id'],
        ['DELETE', '/v1/dead-letters/...', {}, '/id'],
        ['GET', '/v1/spaces/.../state', {}, '/space'],
        ['PUT', `${door.at}/state`, state({ objects: [{ id: '.' }] }), '/objects/0/id'],
        ['PUT', `${door.at}/state`, state({ objects: { '..': {} } }), '/objects/0/id'],
        [
          'PUT',
          `${door.at}/state`,
          state({ objects: [{ id: 'a', createdBy: '..' }] }),
          '/objects/0/createdBy',
        ],
        ['PUT', `${door.at}/state`, state({ users: [{ id: '..', displayName: 'n' }] }), '/users/0/id'],
        ['PUT', `${door.at}/state`, state({ models: [{ id: '..', url: '/m.glb' }] }), '/models/0/id'],
        ['PUT', `${door.at}/state`, state({ media: [{ id: '..', url: '/m.png' }] }), '/media/0/id'],
        ['PUT', `${door.at}/state`, state({ chat: [{ id: '..', text: 't' }] }), '/chat/0/id'],
        ['PUT', `${door.at}/state`, state({ chat: [{ id: 'c', userId: '.', text: 't' }] }), '/chat/0/userId'],
        ['POST', `${door.at}/updates`, updates({ op: 'put', id: '..' }), '/ops/0/id'],
        ['POST', `${door.at}/updates`, updates({ op: 'delete', id: '...' }), '/ops/0/id'],
        ['POST', `${door.at}/updates`, updates({ op: 'user.patch', id: '..' }), '/ops/0/id'],
        ['POST', `${door.at}/updates`, updates({ op: 'put', id: 'a', parentId: '..' }), '/ops/0/parentId'],
      ];
      for (const [method, path, options, errorPath] of places)
        await expectRefusal([method, path, options], [422, 'validation_failed', errorPath]);
    });

    it('refuses 1e400 as a coordinate', async () => {
      await expectRefusal(
        ['PUT', `${door.at}/objects/new`, { text: '{"position":{"x":1e400,"y":0,"z":0}}' }],
        [422, 'validation_failed', '/position/x'],
      );
    });

    it.each([
      ['lists', '['.repeat(200_000) + ']'.repeat(200_000)],
      ['members', `${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}`],
    ])('refuses %s nested 200,000 deep', async (_, json) => {
      const path = '/properties/k';
      for (const method of ['PUT', 'PATCH']) {
        const id = method === 'PUT' ? 'new' : 'there';
        const answer = await expectRefusal(
          [method, `${door.at}/objects/${id}`, { text: `{"properties":{"k":${json}}}` }],
          [422, 'validation_failed'],
        );
        expect(answer.body.errors[0].path.startsWith(path)).toBe(true);
      }
      await expectRefusal(['PUT', `${door.at}/state`, { text: json }], [422, 'validation_failed']);
      await expectRefusal(
        ['PUT', `${door.at}/state`, { text: '['.repeat(200_000) }],
        [422, 'malformed_json'],
      );
    });

    it('refuses properties that nest one level too deep', async () => {
      const nest = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;
      const depthMax = LIMITS.propertiesDepthMax;
      await expectRefusal(
        ['PUT', `${door.at}/objects/new`, { text: `{"properties":${nest(depthMax + 1)}}` }],
        [422, 'validation_failed', '/properties'],
      );
    });

    it.each([
      ['129 characters', 'x'.repeat(129)],
      ['a slash', 'a%2Fb'],
      ['a slash, encoded twice', 'a%252Fb'],
      ['a space', 'a%20b'],
      ['NUL', 'a%00b'],
      ['a letter beyond ASCII', '%C3%A9'],
      ['bytes that are not UTF-8', '%ff'],
      ['a percent sign alone', 'a%zzb'],
    ])('refuses an id with %s in the path', async (_, id) => {
      await expectRefusal(['GET', `/v1/spaces/${id}`], [422, 'validation_failed', '/space']);
      await expectRefusal(
        ['PUT', `/v1/spaces/${id}`, { json: { name: 'n' } }],
        [422, 'validation_failed', '/space'],
      );
      await expectRefusal(
        ['PUT', `${door.at}/objects/${id}`, { json: {} }],
        [422, 'validation_failed', '/id'],
      );
      await expectRefusal(['GET', `${door.at}/objects/${id}`], [422, 'validation_failed', '/id']);
      await expectRefusal(
        ['PATCH', `${door.at}/objects/${id}`, { json: {} }],
        [422, 'validation_failed', '/id'],
      );
      await expectRefusal(['DELETE', `${door.at}/objects/${id}`], [422, 'validation_failed', '/id']);
      await expectRefusal(['DELETE', `/v1/keys/${id}`], [422, 'validation_failed', '/id']);
    });

    it('refuses ids of 129 characters or with a slash in a state', async () => {
      for (const id of ['x'.repeat(129), 'a/b', '', 7])
        await expectRefusal(
          ['PUT', `${door.at}/state`, { json: { objects: [{ id: 'ok' }, { id }] } }],
          [422, 'validation_failed', '/objects/1/id'],
        );
    });

    it('refuses a rotation of length zero', async () => {
      const rotation = { x: 0, y: 0, z: 0, w: 0 };
      for (const [method, id] of [
        ['PUT', 'new'],
        ['PATCH', 'there'],
      ] as const)
        await expectRefusal(
          [method, `${door.at}/objects/${id}`, { json: { rotation } }],
          [422, 'validation_failed', '/rotation'],
        );
      await expectRefusal(
        ['PUT', `${door.at}/state`, { json: { objects: [{ id: 'a', rotation }] } }],
        [422, 'validation_failed', '/objects/0/rotation'],
      );
    });

    it('refuses settings and properties that are not an object', async () => {
      for (const wrong of [null, [], 'text', 7, true])
        for (const [method, path, json, at] of [
          ['PUT', '/v1/spaces/new', { name: 'n', settings: wrong }, '/settings'],
          ['PUT', `${door.at}/objects/new`, { properties: wrong }, '/properties'],
          ['PATCH', `${door.at}/objects/there`, { properties: wrong }, '/properties'],
          ['PUT', '/v1/users/new', { displayName: 'n', properties: wrong }, '/properties'],
        ] as const)
          await expectRefusal([method, path, { json }], [422, 'validation_failed', at]);
    });

    it('refuses 65 KiB of properties, naming the limit and the size', async () => {
      const properties = { text: 'x'.repeat(65 * 1024) };
      for (const [method, path, json, at] of [
        ['PUT', `${door.at}/objects/new`, { properties }, '/properties'],
        ['PATCH', `${door.at}/objects/there`, { properties }, '/properties'],
        ['PUT', `${door.at}/state`, { objects: [{ id: 'a', properties }] }, '/objects/0/properties'],
        ['PUT', '/v1/spaces/new', { name: 'n', settings: properties }, '/settings'],
      ] as const) {
        const { body } = await expectRefusal([method, path, { json }], [422, 'properties_too_large', at]);
        expect(body.errors[0].message).toMatch(/65536 bytes.* 66572/);
      }
    });

    it('refuses properties that become too large by a patch', async () => {
      const own = await openSpace(target());
      const path = `${own.at}/objects/grown`;
      await own.call('PUT', path, { json: { properties: { a: 'x'.repeat(40_000) } } });
      const full = await own.call('GET', path);
      const { status, body } = await own.call('PATCH', path, {
        json: { properties: { b: 'x'.repeat(40_000) } },
      });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'properties_too_large', '/properties']);
      // A correction may follow in the log ([D5c]): the same object under a new seq.
      expect((await own.call('GET', path)).body.properties).toEqual(full.body.properties);
    });

    it('refuses a body above the limit, naming the limit and the size', async () => {
      const text = JSON.stringify({ properties: { text: 'x'.repeat(2 * MIB) } });
      const { body } = await expectRefusal(
        ['PUT', `${door.at}/objects/new`, { text }],
        [413, 'body_too_large', ''],
      );
      expect(body.detail).toContain(String(BODY_BYTES_MAX));
      expect(body.detail).toContain(String(text.length));
    });

    it('does not refuse a body of exactly the largest size for its size', async () => {
      const text = `{"objects":[]}${' '.repeat(BODY_BYTES_MAX - 14)}`;
      const answer = await door.call('PUT', '/v1/spaces/new', { text });
      expect(answer.body.code).toBe('validation_failed');
    });

    it('refuses a body above the limit that is sent in pieces, without a length', async () => {
      const piece = new TextEncoder().encode('x'.repeat(64 * 1024));
      let sent = 0;
      const stream = () =>
        new ReadableStream<Uint8Array>({
          pull(controller) {
            sent += piece.length;
            if (sent > 4 * MIB) controller.close();
            else controller.enqueue(piece);
          },
        });
      await expectRefusal(['PUT', `${door.at}/objects/new`, { text: stream() }], [413, 'body_too_large', '']);
    });

    it('refuses every other type of body', async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/jsonp',
        'application/json; charset=iso-8859-1',
        'application/merge-patch+json',
      ])
        await expectRefusal(
          ['PUT', `${door.at}/objects/new`, { text: '{}', headers: { 'Content-Type': type } }],
          [415, 'unsupported_media_type'],
        );
      await expectRefusal(
        ['PUT', `${door.at}/objects/new`, { text: '{}', headers: { 'Content-Encoding': 'gzip' } }],
        [415, 'unsupported_media_type'],
      );
    });

    it('accepts every spelling of JSON in UTF-8', async () => {
      for (const type of [
        'application/json',
        'Application/JSON; Charset="UTF-8"',
        'application/json;charset=utf8',
      ]) {
        const { status } = await door.call('PUT', `${door.at}/objects/there`, {
          text: '{"name":"there","properties":{"a":1}}',
          headers: { 'Content-Type': type },
        });
        expect(status).toBe(200);
      }
      before = await readAll();
    });

    it('reads only the allowed bytes of a body with a wrong Content-Length', async () => {
      const body = JSON.stringify({ name: 'n', properties: { text: 'x'.repeat(2 * MIB) } });
      const { address } = target();
      if (address === null) {
        const text = new Blob([body]).stream();
        await expectRefusal(
          ['PUT', `${door.at}/objects/new`, { text, headers: { 'Content-Length': '20' } }],
          [413, 'body_too_large'],
        );
        return;
      }
      const key = await door.apiKey(['write']);
      before = await readAll();
      const send = (contentLength: number, sent: string) =>
        sendRaw(address, [
          `PUT ${door.at}/objects/new HTTP/1.1`,
          `Host: ${address.host}`,
          `Authorization: Bearer ${key}`,
          'Content-Type: application/json',
          `Content-Length: ${contentLength}`,
          'Connection: close',
          '',
          sent,
        ]);
      // Too small: only the announced bytes are read, and they are not JSON. The rest is not part of the request.
      expect(await send(20, body)).toMatch(/^HTTP\/1\.1 422 /);
      // Too large: refused for its announced size, without waiting for bytes that never come.
      expect(await send(64 * MIB, '{}')).toMatch(/^HTTP\/1\.1 413 /);
      expect(await readAll()).toBe(before);
    });
  });
}

/** Sends bytes as they are and reads until the other side closes. */
async function sendRaw(address: { host: string; port: number }, lines: string[]): Promise<string> {
  const socket = connect(address.port, address.host);
  // The other side may answer and close during the write. The rest of the bytes is lost, which is correct.
  socket.on('error', () => undefined);
  socket.write(lines.join('\r\n'));
  return readText(socket).catch((error: unknown) => String(error));
}
