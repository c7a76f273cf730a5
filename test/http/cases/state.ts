import { beforeAll, describe, expect, it } from 'vitest';
import { type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';
import { describeStateLines } from './state-lines.ts';

const WORLD = {
  objects: [
    { id: 'a', name: 'A', position: { x: 0.1, y: 0.2, z: 0.3 }, properties: { n: 1 } },
    { id: 'b', name: 'B', parentId: 'a' },
  ],
  users: [{ id: 'ada', displayName: 'Ada' }],
  models: [{ id: 'm', name: 'M', url: 'https://models.example/m.glb' }],
  media: [{ id: 'i', name: 'I', url: 'https://media.example/i.png' }],
  chat: [{ id: 'c', userId: 'ada', text: 'hello' }],
};

export function describeState(target: () => Target): void {
  describeStateLines(target);
  describe('state', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
    });

    const save = (at: string, json: unknown, query = '') => door.call('PUT', `${at}/state${query}`, { json });
    const load = (at: string, query = '', headers: Record<string, string> = {}) =>
      door.call('GET', `${at}/state${query}`, { headers });
    const makeSpace = async (id: string) => {
      await door.call('PUT', `/v1/spaces/${id}`, { json: { name: id } });
      return `/v1/spaces/${id}`;
    };
    const idsOf = (things: { id: string }[]) => things.map(({ id }) => id).toSorted();

    it('is saved and returned completely', async () => {
      const saved = await save(door.at, WORLD);
      expect(saved.status).toBe(200);
      expect(saved.body).toEqual({ seq: expect.any(Number), objects: 2, durability: 'committed' });

      const { status, body, headers } = await load(door.at);
      expect(status).toBe(200);
      expect(Object.keys(body)).toEqual([
        ...['space', 'seq', 'durableSeq'],
        ...['objects', 'users', 'models', 'media', 'chat'],
      ]);
      expect(body).toMatchObject({ space: { id: 'here' }, seq: saved.body.seq, durableSeq: saved.body.seq });
      expect(headers.get('ETag')).toMatch(new RegExp(`^"${body.seq}\\.\\d+"$`));
      expect(idsOf(body.objects)).toEqual(['a', 'b']);
      expect(body.objects.find(({ id }: { id: string }) => id === 'a')).toMatchObject(WORLD.objects[0] ?? {});
      expect(body.users).toMatchObject(WORLD.users);
      expect(body.models).toMatchObject(WORLD.models);
      expect(body.media).toMatchObject(WORLD.media);
      expect(body.chat).toMatchObject(WORLD.chat);
    });

    it('[S10] has the models and media that its objects and avatars reference, and no others', async () => {
      const asset = (id: string) => ({ id, name: id, url: `https://assets.example/${id}` });
      const library = await makeSpace('library');
      const ids = ['m1', 'm2', 'm3', 'm4', 'i1', 'i2', 'i3', 'i4'];
      const [models, media] = [ids.slice(0, 4).map(asset), ids.slice(4).map(asset)];
      await save(library, { objects: [], models, media });
      const at = await makeSpace('references');
      const own = [asset('own')];
      const objects = [
        { id: 'a', modelId: 'm1', properties: { mediaId: 'i1' } },
        {
          id: 'b',
          modelId: 'gone',
          position: { x: 9, y: 0, z: 0 },
          properties: { mediaIds: ['i2', 'gone'] },
        },
      ];
      const users = [{ id: 'ada', displayName: 'Ada', properties: { modelId: 'm2', mediaId: 'i3' } }];
      await save(at, { objects, users, models: own });
      const shown = async (query = '') => {
        const { body } = await load(at, query);
        return [
          body.models?.map(({ id }: { id: string }) => id),
          body.media?.map(({ id }: { id: string }) => id),
        ];
      };
      const readLines = async (query = '') => {
        const { text } = await load(at, query, { Accept: 'application/x-ndjson' });
        const lines = text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
        return ['model', 'media'].map((kind) =>
          lines.filter((line) => line.kind === kind).map(({ id }) => id),
        );
      };
      const everything = [
        ['m1', 'm2', 'own'],
        ['i1', 'i2', 'i3'],
      ];
      expect([await shown(), await readLines()]).toEqual([everything, everything]);
      expect(await readLines('?include=models,media')).toEqual(everything);
      const near = [
        ['m1', 'm2', 'own'],
        ['i1', 'i3'],
      ];
      expect([await shown('?near=0,0,0&radius=1'), await readLines('?near=0,0,0&radius=1')]).toEqual([
        near,
        near,
      ]);
      const ops = [
        { op: 'patch', id: 'a', modelId: 'm3', properties: { mediaId: null } },
        { op: 'user.patch', id: 'ada', properties: { modelId: null } },
      ];
      await door.call('POST', `${at}/updates`, { json: { ops } });
      const later = [
        ['m3', 'own'],
        ['i2', 'i3'],
      ];
      expect([await shown(), await readLines()]).toEqual([later, later]);
      await save(at, { objects: [{ id: 'c' }] }, '?mode=merge');
      expect(await shown()).toEqual(later);
      await save(at, { objects: [] });
      expect(await shown()).toEqual([[], ['i3']]);
    });

    it('accepts a state that was read before, also into another space', async () => {
      const at = await makeSpace('source');
      await save(at, WORLD);
      const { body } = await load(at);
      const copy = await makeSpace('copy');
      expect((await save(copy, body)).status).toBe(200);
      const bare = ({ objects }: { objects: Record<string, unknown>[] }) =>
        objects.map(({ id, name, parentId, position, rotation, scale, properties }) => ({
          id,
          name,
          parentId,
          position,
          rotation,
          scale,
          properties,
        }));
      expect(bare((await load(copy)).body)).toEqual(bare(body));
    });

    it('accepts the backup of an in-memory server', async () => {
      const at = await makeSpace('backup');
      const backup = {
        objects: { lamp: { position: { x: 1, y: 2, z: 3 }, glow: true } },
        models: { m1: { name: 'One', url: 'https://models.example/1.glb' } },
        chatHistory: [{ id: 'c1', text: 'hi' }],
      };
      expect((await save(at, backup)).body).toMatchObject({ objects: 1, durability: 'committed' });
      const { body } = await load(at);
      expect(body.objects[0]).toMatchObject({ id: 'lamp', properties: { glow: true } });
    });

    it('replaces the world, or merges into it', async () => {
      const at = await makeSpace('modes');
      await save(at, { objects: [{ id: 'a' }, { id: 'b' }] });
      const merged = await save(at, { objects: [{ id: 'b', name: 'B' }, { id: 'c' }] }, '?mode=merge');
      expect(merged.status).toBe(200);
      expect(idsOf((await load(at)).body.objects)).toEqual(['a', 'b', 'c']);
      await save(at, { objects: [{ id: 'c' }] }, '?mode=replace');
      expect(idsOf((await load(at)).body.objects)).toEqual(['c']);
      await save(at, { objects: [] });
      expect((await load(at)).body.objects).toEqual([]);
    });

    it('is saved completely or not at all', async () => {
      const at = await makeSpace('atomic');
      await save(at, { objects: [{ id: 'kept' }] });
      const before = await load(at);
      for (const [world, path] of [
        [{ objects: [{ id: 'x' }, { id: 'y', scale: { x: 1, y: 1 } }] }, '/objects/1/scale/z'],
        [{ objects: [{ id: 'x' }, { id: 'x' }] }, '/objects/1/id'],
        [{ objects: [{ id: 'x' }], users: [{ id: 'u' }] }, '/users/0/displayName'],
        [{}, '/objects'],
        [[], ''],
      ] as const) {
        const { status, body } = await save(at, world);
        expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
      }
      expect((await load(at)).text).toBe(before.text);
    });

    it('is sent in the parts that ?include names', async () => {
      const at = await makeSpace('parts');
      await save(at, WORLD);
      const { body } = await load(at, '?include=objects,users');
      expect(Object.keys(body)).toEqual(['space', 'seq', 'durableSeq', 'objects', 'users']);
      expect(body.objects).toHaveLength(2);
    });

    it('is sent for a region, by the positions of objects in their parents', async () => {
      const at = await makeSpace('region');
      const stand = (id: string, x: number, parentId?: string) => ({
        id,
        parentId,
        position: { x, y: 0, z: 0 },
      });
      await save(at, {
        ...WORLD,
        objects: [stand('a', 0), stand('b', 5), stand('c', 1e308), stand('d', 2, 'c')],
      });
      const near = await load(at, '?near=1,0,0&radius=4');
      expect([near.status, idsOf(near.body.objects)]).toEqual([200, ['a', 'b', 'd']]);
      expect(near.body.users).toHaveLength(1);
      expect(near.headers.get('ETag')).toBe((await load(at)).headers.get('ETag'));
      const box = await load(at, '?min=1,-1,-1&max=1e308,1,1&include=objects');
      expect(idsOf(box.body.objects)).toEqual(['b', 'c', 'd']);
      expect(Object.keys(box.body)).not.toContain('users');
      const etag = box.headers.get('ETag') ?? '';
      const again = await load(at, '?near=1,0,0&radius=4', { 'If-None-Match': etag });
      expect(again.status).toBe(304);
    });

    it('is not sent again to a caller that has it', async () => {
      const at = await makeSpace('cached');
      await save(at, WORLD);
      const etag = (await load(at)).headers.get('ETag') ?? '';
      const again = await load(at, '', { 'If-None-Match': etag });
      expect([again.status, again.text, again.headers.get('ETag')]).toEqual([304, '', etag]);

      await door.call('PUT', `${at}/objects/new`, { json: {} });
      const changed = await load(at, '', { 'If-None-Match': etag });
      expect(changed.status).toBe(200);
      expect(changed.headers.get('ETag')).not.toBe(etag);
    });

    it('answers HEAD with its tag', async () => {
      const at = await makeSpace('head');
      const { headers } = await load(at);
      const head = await door.call('HEAD', `${at}/state`);
      expect([head.status, head.text, head.headers.get('ETag')]).toEqual([200, '', headers.get('ETag')]);
    });

    it.each([
      ['include=objects,walls', '/include'],
      ['include=', '/include'],
      ['near=0,0,0', '/near'],
      ['radius=5', '/radius'],
      ['near=0,0&radius=5', '/near'],
      ['near=0,0,0,0&radius=5', '/near'],
      ['near=a,0,0&radius=5', '/near'],
      ['near=0,0,1e400&radius=5', '/near'],
      ['near=0,0,0&radius=-1', '/radius'],
      ['near=0,0,0&radius=', '/radius'],
      ['near=0,0,0&radius=1&min=0,0,0&max=1,1,1', '/near'],
      ['min=0,0,0', '/min'],
      ['min=2,0,0&max=1,1,1', '/min/x'],
      ['region=here', '/region'],
    ])('is refused with ?%s, rather than given as if it had not been asked', async (query, path) => {
      const { status, body } = await load(door.at, `?${query}`);
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
    });

    it('is not saved with an unknown mode or with a condition', async () => {
      expect((await save(door.at, WORLD, '?mode=append')).body.errors[0]?.path).toBe('/mode');
      const conditional = await door.call('PUT', `${door.at}/state`, {
        json: WORLD,
        headers: { 'If-Match': '"1.1"' },
      });
      expect([conditional.status, conditional.body.errors[0]?.path]).toEqual([422, '/If-Match']);
    });

    it('is 404 if the space does not exist', async () => {
      expect((await load('/v1/spaces/nowhere')).status).toBe(404);
      expect((await load('/v1/spaces/nowhere', '', { 'If-None-Match': '"1.1"' })).status).toBe(404);
      expect((await save('/v1/spaces/nowhere', WORLD)).status).toBe(404);
    });
  });
}
