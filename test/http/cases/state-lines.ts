import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/world/limits.ts';
import { type Answer, type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';

const NDJSON = 'application/x-ndjson';
const WORLD = {
  objects: [
    { id: 'a', name: 'A', position: { x: 0.1, y: 0.2, z: 0.3 }, properties: { n: 1 } },
    { id: 'b', name: 'B', parentId: 'a', position: { x: 100, y: 0, z: 0 } },
  ],
  users: [{ id: 'ada', displayName: 'Ada' }],
  chat: [{ id: 'c', userId: 'ada', text: 'hello' }],
};

/** The state line by line, over HTTP. */
export function describeStateLines(target: () => Target): void {
  describe('state as NDJSON', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target(), 'lines');
    });

    const load = (at: string, query = '', headers: Record<string, string> = {}) =>
      door.call('GET', `${at}/state${query}`, { headers: { Accept: NDJSON, ...headers } });
    const put = (at: string, text: NonNullable<RequestInit['body']>, query = '') =>
      door.call('PUT', `${at}/state${query}`, { text, headers: { 'Content-Type': NDJSON } });
    const makeSpace = async (id: string) => {
      await door.call('PUT', `/v1/spaces/${id}`, { json: { name: id } });
      return `/v1/spaces/${id}`;
    };
    const linesOf = ({ text }: Answer) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    const kindsOf = (answer: Answer) => linesOf(answer).map(({ kind }) => kind);
    const write = (lines: readonly object[]) => `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
    const ids = async (at: string) =>
      (await door.call('GET', `${at}/state`)).body.objects.map(({ id }: { id: string }) => id);

    it('is the state with an `end` line, and can be saved in another space', async () => {
      const at = await makeSpace('lines-source');
      await door.call('PUT', `${at}/state`, { json: WORLD });
      const json = await door.call('GET', `${at}/state`);
      const answer = await load(at);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('Content-Type')).toBe(NDJSON);
      expect(answer.headers.get('ETag')).toBe(json.headers.get('ETag'));
      for (const { headers } of [answer, json]) expect(headers.get('Vary')).toContain('Accept');
      const lines = linesOf(answer);
      expect(kindsOf(answer)).toEqual(['space', 'object', 'object', 'user', 'chat', 'end']);
      const { space, seq, durableSeq, objects } = json.body;
      expect(lines[0]).toEqual({ kind: 'space', ...space, durableSeq });
      expect(lines.slice(1, 3)).toEqual(objects.map((object: object) => ({ kind: 'object', ...object })));
      expect(lines.at(-1)).toMatchObject({ kind: 'end', seq, counts: { object: 2, user: 1, model: 0 } });

      const copy = await makeSpace('lines-copy');
      const saved = await put(copy, answer.text);
      expect([saved.status, saved.body]).toEqual([
        200,
        { seq: expect.any(Number), objects: 2, durability: 'committed' },
      ]);
      expect(await ids(copy)).toEqual(['a', 'b']);
    });

    it('is sent if the request prefers it, and JSON otherwise', async () => {
      for (const accept of [
        'application/x-ndjson, */*;q=0.1',
        'application/json;q=0.5, application/x-ndjson',
      ])
        expect((await load(door.at, '', { Accept: accept })).headers.get('Content-Type')).toBe(NDJSON);
      for (const accept of ['*/*', 'application/json', 'application/json, application/x-ndjson;q=0.9'])
        expect((await load(door.at, '', { Accept: accept })).headers.get('Content-Type')).toBe(
          'application/json',
        );
    });

    it('is sent in parts and regions, is 304 for a caller that has it, and answers HEAD', async () => {
      const at = await makeSpace('lines-parts');
      await door.call('PUT', `${at}/state`, { json: WORLD });
      expect(kindsOf(await load(at, '?include=users'))).toEqual(['space', 'user', 'end']);
      const near = await load(at, '?near=0,0,0&radius=1&include=objects');
      expect(linesOf(near).map(({ kind, id }) => [kind, id])).toEqual([
        ['space', 'lines-parts'],
        ['object', 'a'],
        ['end', undefined],
      ]);
      const etag = near.headers.get('ETag') ?? '';
      const again = await load(at, '', { 'If-None-Match': etag });
      expect([again.status, again.text]).toEqual([304, '']);
      const head = await door.call('HEAD', `${at}/state`, { headers: { Accept: NDJSON } });
      expect([head.status, head.text, head.headers.get('Content-Type')]).toEqual([200, '', NDJSON]);
    });

    it('replaces the world, or is merged into it', async () => {
      const at = await makeSpace('lines-modes');
      const object = (id: string) => ({ kind: 'object', id });
      await put(at, write([object('a'), object('b'), { kind: 'end' }]));
      await put(at, write([object('c'), { kind: 'end' }]), '?mode=merge');
      expect(await ids(at)).toEqual(['a', 'b', 'c']);
      await put(at, write([object('d'), { kind: 'end' }]), '?mode=replace');
      expect(await ids(at)).toEqual(['d']);
      expect((await put(at, write([{ kind: 'end' }]), '?mode=append')).body.errors[0]?.path).toBe('/mode');
    });

    it('is saved completely or not at all, whatever error any line has', async () => {
      const at = await makeSpace('lines-atomic');
      await put(at, write([{ kind: 'object', id: 'kept' }, { kind: 'end' }]));
      const many = Array.from({ length: 20_000 }, (_, i) => ({ kind: 'object', id: `o${i}`, name: 'many' }));
      const long = `{"kind":"object","id":"x","properties":{"t":"${'x'.repeat(LIMITS.stateLineBytesMax)}"}}\n`;
      for (const [text, status, code, path] of [
        ['', 422, 'validation_failed', '/1'],
        [write([{ kind: 'object', id: 'cut-off' }]), 422, 'validation_failed', '/2'],
        [
          write([...many, { kind: 'object', id: 'bad', scale: { x: 1 } }]),
          422,
          'validation_failed',
          '/20001/scale/y',
        ],
        [
          write([...many, { kind: 'object', id: 'o3' }, { kind: 'end' }]),
          422,
          'validation_failed',
          '/20001/id',
        ],
        [write([...many]), 422, 'validation_failed', '/20001'],
        [`${write(many)}{"kind":"obj`, 422, 'malformed_json', '/20001'],
        [long, 413, 'body_too_large', '/1'],
        [write([{ kind: 'end' }]), 422, 'validation_failed', '/1/counts/object'],
      ] as const) {
        const { status: answered, body } = await put(at, text);
        expect([answered, body.code, body.errors.map((e: { path: string }) => e.path)]).toEqual([
          status,
          code,
          expect.arrayContaining([path]),
        ]);
        expect(await ids(at)).toEqual(['kept']);
      }
    });

    it('is saved while it arrives, and not at all if the stream breaks off', async () => {
      const at = await makeSpace('lines-streamed');
      await put(at, write([{ kind: 'object', id: 'kept' }, { kind: 'end' }]));
      const encoder = new TextEncoder();
      const pieces = function* (ended: boolean) {
        for (let i = 0; i < 200; i++)
          yield encoder.encode(
            write(Array.from({ length: 50 }, (_, j) => ({ kind: 'object', id: `s${i}-${j}` }))),
          );
        if (ended) yield encoder.encode(write([{ kind: 'end' }]));
      };
      const streamOf = (iterator: Iterator<Uint8Array>, breaks: boolean) =>
        new ReadableStream<Uint8Array>({
          pull(controller) {
            const { done, value } = iterator.next();
            if (!done) controller.enqueue(value);
            else if (breaks) controller.error(new Error('cut'));
            else controller.close();
          },
        });
      const broken = await put(at, streamOf(pieces(false), true)).catch(() => null);
      expect(broken === null || broken.status === 422).toBe(true);
      expect(await ids(at)).toEqual(['kept']);
      const saved = await put(at, streamOf(pieces(true), false));
      expect([saved.status, saved.body.objects]).toEqual([200, 10_000]);
    });

    it('is 404 if the space does not exist, and is refused like JSON', async () => {
      const nowhere = '/v1/spaces/nowhere';
      expect((await load(nowhere)).status).toBe(404);
      expect((await put(nowhere, write([{ kind: 'object', id: 'a' }, { kind: 'end' }]))).status).toBe(404);
      expect((await load(door.at, '?near=0')).body.errors[0]?.path).toBe('/near');
      const zipped = await door.call('PUT', `${door.at}/state`, {
        text: '{"kind":"end"}\n',
        headers: { 'Content-Type': NDJSON, 'Content-Encoding': 'gzip' },
      });
      expect(zipped.status).toBe(415);
    });
  });
}
