import { beforeAll, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../client.ts';
import type { Target } from '../targets.ts';

export function describeSpaces(target: () => Target): void {
  describe('spaces', () => {
    let door: Door;
    beforeAll(async () => {
      door = await openDoor(target());
    });

    it('are created, then updated, and returned', async () => {
      const space = {
        name: 'Plaza',
        description: 'Where all meet',
        settings: { gravity: -9.81, tags: ['a', 'b'] },
        bounds: { min: { x: -10, y: 0, z: -10 }, max: { x: 10, y: 20, z: 10 } },
      };
      const created = await door.call('PUT', '/v1/spaces/plaza', { json: space });
      expect(created.status).toBe(201);
      expect(created.headers.get('Location')).toBe('/v1/spaces/plaza');
      expect(created.body).toMatchObject({ id: 'plaza', ...space });
      expect(Object.keys(created.body).toSorted()).toEqual(
        ['bounds', 'createdAt', 'description', 'id', 'name', 'seq', 'settings', 'updatedAt'].toSorted(),
      );

      const updated = await door.call('PUT', '/v1/spaces/plaza', { json: { name: 'Square' } });
      expect(updated.status).toBe(200);
      expect(updated.body).toMatchObject({ name: 'Square', description: null, settings: {}, bounds: null });
      const read = await door.call('GET', '/v1/spaces/plaza');
      expect(read.body).toEqual(updated.body);
    });

    it('accept a space that was read before', async () => {
      const { body } = await door.call('PUT', '/v1/spaces/twice', { json: { name: 'Twice' } });
      const again = await door.call('PUT', '/v1/spaces/twice', { json: body });
      expect(again.status).toBe(200);
    });

    it('are listed page by page, each once, without deleted spaces', async () => {
      const own = await openDoor(target());
      const ids = ['a', 'b', 'c', 'd', 'e'];
      for (const id of ids) await own.call('PUT', `/v1/spaces/${id}`, { json: { name: id } });
      expect((await own.call('DELETE', '/v1/spaces/c')).status).toBe(204);
      const seen: string[] = [];
      let path = '/v1/spaces?limit=2';
      for (let pages = 0; pages < 5 && path !== ''; pages++) {
        const { status, body } = await own.call('GET', path);
        expect(status).toBe(200);
        expect(body.items.length).toBeLessThanOrEqual(2);
        seen.push(...body.items.map(({ id }: { id: string }) => id));
        path = body.nextCursor === null ? '' : `/v1/spaces?limit=2&cursor=${body.nextCursor}`;
      }
      expect(seen).toEqual(['a', 'b', 'd', 'e']);
    });

    it('are deleted with all their content, and start empty when they are created again', async () => {
      await door.call('PUT', '/v1/spaces/gone', { json: { name: 'Gone' } });
      await door.call('PUT', '/v1/spaces/gone/objects/o', { json: {} });
      const deleted = await door.call('DELETE', '/v1/spaces/gone');
      expect([deleted.status, deleted.text]).toEqual([204, '']);
      for (const path of ['', '/state', '/statistics', '/objects', '/objects/o'])
        expect((await door.call('GET', `/v1/spaces/gone${path}`)).status).toBe(404);
      expect((await door.call('DELETE', '/v1/spaces/gone')).status).toBe(404);

      const { status } = await door.call('PUT', '/v1/spaces/gone', { json: { name: 'Back' } });
      expect(status).toBe(201);
      expect((await door.call('GET', '/v1/spaces/gone/objects')).body.items).toEqual([]);
    });

    it('count their content', async () => {
      await door.call('PUT', '/v1/spaces/counted', { json: { name: 'Counted' } });
      for (const id of ['x', 'y']) await door.call('PUT', `/v1/spaces/counted/objects/${id}`, { json: {} });
      const { status, body } = await door.call('GET', '/v1/spaces/counted/statistics');
      expect(status).toBe(200);
      expect(body).toMatchObject({ spaceId: 'counted', objects: 2, chatMessages: 0, durabilityLagMs: 0 });
    });

    it.each([
      ['a name that is missing', {}, '/name'],
      ['a name that is no text', { name: 1 }, '/name'],
      ['a member that is not known', { name: 'n', colour: 'red' }, '/colour'],
      ['another id than the path', { id: 'other', name: 'n' }, '/id'],
      [
        'bounds whose minimum is above the maximum',
        { name: 'n', bounds: { min: { x: 1, y: 0, z: 0 }, max: { x: 0, y: 0, z: 0 } } },
        '/bounds',
      ],
    ])('are refused with %s', async (_, json, path) => {
      const { status, body } = await door.call('PUT', '/v1/spaces/refused', { json });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
      expect((await door.call('GET', '/v1/spaces/refused')).status).toBe(404);
    });

    it.each([
      ['limit=0', '/limit'],
      ['limit=1001', '/limit'],
      ['limit=many', '/limit'],
      ['cursor=nonsense', '/cursor'],
      ['limit=1&limit=2', '/limit'],
      ['page=2', '/page'],
    ])('are not listed with ?%s', async (query, path) => {
      const { status, body } = await door.call('GET', `/v1/spaces?${query}`);
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
    });
  });
}
