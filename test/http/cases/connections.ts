import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCall, type Door, openSpace } from '../client.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';

/** Bytes that are not a request, or that two readers could understand differently. */
const NONSENSE: [string, string][] = [
  ['bytes that are not HTTP', 'GARBAGE\r\n\r\n'],
  ['the first bytes of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ['a length below zero', 'PUT /livez HTTP/1.1\r\nHost: here\r\nContent-Length: -1\r\n\r\n'],
  ['two lengths', 'PUT /livez HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  [
    'an invalid chunk',
    'PUT /v1/spaces/s HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n',
  ],
  ['NUL in a header', 'GET /livez HTTP/1.1\r\nHost: here\r\nX: a\0b\r\n\r\n'],
];

/** Incomplete bodies, each with the headers before it. */
const PARTIAL: [string, path: string, headers: string[], bytes: string][] = [
  ['a length and no byte', '/objects/cut', ['Content-Type: application/json', 'Content-Length: 1000'], ''],
  [
    'a length and fewer bytes',
    '/objects/cut',
    ['Content-Type: application/json', 'Content-Length: 1000'],
    '{"name":',
  ],
  [
    'a large length and a few bytes',
    '/state',
    ['Content-Type: application/json', 'Content-Length: 3000000'],
    '{"objects":',
  ],
  [
    'chunks without the last chunk',
    '/objects/cut',
    ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
    '8\r\n{"name":\r\n',
  ],
  [
    'lines without the last line',
    '/state',
    ['Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked'],
    '8\r\n{"kind":\r\n',
  ],
];
/** Short, but longer than the pause between two pieces of a body on a busy machine. */
const BODY_TIMEOUT_MS = 1_000;

/** Cases that only a real connection can show: for targets that listen. */
export function describeConnections({ start, makeEnv }: Runtime): void {
  describe('a connection', () => {
    let target: Target;
    let door: Door & { at: string };
    let key: string;
    beforeAll(async () => {
      target = await start(makeEnv({ BODY_TIMEOUT_MS: String(BODY_TIMEOUT_MS) }));
      door = await openSpace(target);
      key = await door.apiKey(['read', 'write']);
    });

    afterAll(() => target?.stop());

    async function open(): Promise<Socket> {
      const { address } = target;
      if (address === null) throw new Error('the target does not listen');
      const socket = connect(address.port, address.host);
      await once(socket, 'connect');
      // The other side may also close with a reset.
      socket.on('error', () => undefined);
      return socket;
    }

    const livez = async () => (await createCall(target, null)('GET', '/livez')).status;

    it.each(NONSENSE)('that sends %s is refused, and the next connection is served', async (_, bytes) => {
      const socket = await open();
      socket.write(bytes, 'latin1');
      const answer = await text(socket).catch(() => '');
      expect(answer).toMatch(/^(HTTP\/1\.1 4\d\d |$)/);
      expect(await livez()).toBe(200);
    });

    async function sendPartial([, path, headers, bytes]: (typeof PARTIAL)[number]): Promise<Socket> {
      const socket = await open();
      const head = [
        `PUT ${door.at}${path} HTTP/1.1`,
        'Host: here',
        `Authorization: Bearer ${key}`,
        ...headers,
      ];
      socket.write(`${head.join('\r\n')}\r\n\r\n${bytes}`);
      return socket;
    }

    it('whose body stops arriving gets 408 and is closed, and nothing is written', async () => {
      const before = (await door.call('GET', `${door.at}/state`)).body.seq;
      const answers = PARTIAL.map(async (partial) => text(await sendPartial(partial)));
      for (const [i, answer] of (await Promise.all(answers)).entries()) {
        expect([PARTIAL[i]?.[0], answer]).toEqual([
          PARTIAL[i]?.[0],
          expect.stringMatching(/^HTTP\/1\.1 408 .*"code":"body_timeout"/s),
        ]);
        expect(answer).toContain(`The server received no body data for ${BODY_TIMEOUT_MS} ms`);
      }
      expect(await livez()).toBe(200);
      expect((await door.call('GET', `${door.at}/state`)).body.seq).toBe(before);
    });

    it('whose body ends too early gets 400 or 422, never 500', async () => {
      for (const partial of PARTIAL) {
        const socket = await sendPartial(partial);
        socket.end();
        const answer = await text(socket).catch(() => '');
        expect([partial[0], answer]).toEqual([partial[0], expect.stringMatching(/^HTTP\/1\.1 4(00|22) /)]);
        expect(answer).not.toMatch(/ at .*\.(js|ts):/);
      }
      expect((await door.call('GET', `${door.at}/objects/cut`)).status).toBe(404);
    });

    it('that is still sending when one of its lines is refused gets the answer', async () => {
      const lines: (typeof PARTIAL)[number] = [
        'lines that go on',
        '/state',
        ['Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked'],
        '9\r\nnonsense\n\r\n',
      ];
      expect(await text(await sendPartial(lines))).toMatch(/^HTTP\/1\.1 422 .*"code":"malformed_json"/s);
    });

    it('that is cut in the middle of a body writes nothing', async () => {
      const socket = await open();
      socket.write(
        [
          `PUT ${door.at}/objects/cut HTTP/1.1`,
          'Host: here',
          `Authorization: Bearer ${key}`,
          'Content-Type: application/json',
          'Content-Length: 1000',
          '\r\n{"name":',
        ].join('\r\n'),
      );
      socket.resetAndDestroy();
      expect(await livez()).toBe(200);
      expect((await door.call('GET', `${door.at}/objects/cut`)).status).toBe(404);
    });

    it('that is cut in the middle of an answer does not harm other connections', async () => {
      const objects = Array.from({ length: 200 }, (_, i) => ({
        id: `o-${i}`,
        properties: { text: 'x'.repeat(20_000) },
      }));
      expect((await door.call('PUT', `${door.at}/state`, { json: { objects } })).status).toBe(200);
      for (let i = 0; i < 5; i++) {
        const socket = await open();
        socket.write(`GET ${door.at}/state HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer ${key}\r\n\r\n`);
        await once(socket, 'data');
        socket.resetAndDestroy();
      }
      expect(await livez()).toBe(200);
      expect((await door.call('GET', `${door.at}/state`)).body.objects).toHaveLength(200);
    });

    it('is used again after an answer, also after a refusal', async () => {
      const socket = await open();
      for (const [request, status] of [
        ['GET /livez', 200],
        ['HEAD /livez', 200],
        ['GET /nothing', 404],
        ['DELETE /livez', 405],
        ['GET /livez', 200],
      ] as const) {
        socket.write(`${request} HTTP/1.1\r\nHost: here\r\n\r\n`);
        const [chunk] = await once(socket, 'data');
        expect(String(chunk)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      }
      socket.destroy();
    });

    it('gets the same answer for HEAD as for GET, without the body', async () => {
      for (const path of ['/livez', door.at, `${door.at}/state`, `${door.at}/objects/none`]) {
        const [get, head] = [await door.call('GET', path), await door.call('HEAD', path)];
        expect([head.status, head.text]).toEqual([get.status, '']);
        for (const name of ['Content-Type', 'ETag', 'Cache-Control'])
          expect(head.headers.get(name)).toBe(get.headers.get(name));
      }
    });
  });
}
