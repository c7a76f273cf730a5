import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';

/** The longest time from `queued` to committed, on a busy machine. */
const POLL = { timeout: 20_000, interval: 20 };
const MERGE_PATCH = 'application/merge-patch+json';

export function describeObjects(target: () => Target): void {
  describe('objects', () => {
    let door: Door & { at: string };
    let objects: string;
    beforeAll(async () => {
      door = await openSpace(target());
      objects = `${door.at}/objects`;
    });

    const put = (id: string, json: unknown = {}, headers: Record<string, string> = {}) =>
      door.call('PUT', `${objects}/${id}`, { json, headers });
    const get = (id: string, headers: Record<string, string> = {}) =>
      door.call('GET', `${objects}/${id}`, { headers });
    const patch = (id: string, json: unknown, headers: Record<string, string> = {}) =>
      door.call('PATCH', `${objects}/${id}`, { json, headers });
    const etagOf = (answer: Answer) => answer.headers.get('ETag') ?? '';

    it('are created with every member, and returned', async () => {
      const chair = {
        name: 'Chair',
        modelId: 'chair.glb',
        parentId: 'room',
        position: { x: 0.1, y: -2.5e-7, z: 1e21 },
        rotation: { x: 0, y: 0.6, z: 0, w: 0.8 },
        scale: { x: 1, y: 2, z: 3 },
        properties: { colour: 'red', legs: [1, 2, 3, 4], empty: {}, none: null, deep: { a: [] } },
      };
      const created = await put('chair', chair);
      expect(created.status).toBe(201);
      expect(created.headers.get('Location')).toBe(`${objects}/chair`);
      expect(created.headers.get('ETag')).toBe(`"${created.body.seq}"`);
      expect(created.body).toMatchObject({ id: 'chair', spaceId: 'here', ...chair });
      expect((await get('chair')).body).toEqual(created.body);
    });

    it('have defaults for members that are not given', async () => {
      const { body } = await put('plain');
      expect(body).toMatchObject({
        name: null,
        modelId: null,
        parentId: null,
        position: { x: 0, y: 0, z: 0 },
        rotation: { x: 0, y: 0, z: 0, w: 1 },
        scale: { x: 1, y: 1, z: 1 },
        properties: {},
      });
      expect(body.createdBy).toMatch(/^key_/);
    });

    it('are fully replaced by a second PUT, and keep their creation time and author', async () => {
      const first = await put('again', { name: 'one', properties: { a: 1 } });
      const second = await put('again', { position: { x: 1, y: 0, z: 0 } });
      expect(second.status).toBe(200);
      expect(second.headers.get('Location')).toBeNull();
      expect(second.body).toMatchObject({ name: null, properties: {}, position: { x: 1, y: 0, z: 0 } });
      expect(second.body.seq).toBeGreaterThan(first.body.seq);
      expect(second.body.createdAt).toBe(first.body.createdAt);
    });

    it('accept an object that was read before', async () => {
      const { body } = await put('round', { name: 'Round', properties: { a: 1 } });
      const again = await put('round', body);
      expect(again.status).toBe(200);
      expect(again.body).toMatchObject({ name: 'Round', properties: { a: 1 } });
    });

    it('keep numbers to the last bit', async () => {
      const position = { x: 0.1 + 0.2, y: 5e-324, z: -1.7976931348623157e308 };
      await put('exact', { position, properties: { n: 0.1 + 0.2, tiny: 5e-324 } });
      const { body } = await get('exact');
      expect(body.position).toEqual(position);
      expect(body.properties).toEqual({ n: 0.1 + 0.2, tiny: 5e-324 });
    });

    it('are patched in parts: vectors by component, properties as RFC 7396 says', async () => {
      await put('patched', {
        name: 'Before',
        position: { x: 1, y: 2, z: 3 },
        properties: { keep: 1, drop: 2, deep: { a: 1, b: 2 } },
      });
      const changed = await patch('patched', {
        name: null,
        position: { y: 9 },
        properties: { drop: null, deep: { b: null, c: [1] }, list: [null] },
      });
      expect(changed.status).toBe(200);
      expect(changed.body).toMatchObject({ name: null, position: { x: 1, y: 9, z: 3 } });
      expect(changed.body.properties).toEqual({ keep: 1, deep: { a: 1, c: [1] }, list: [null] });
      expect((await get('patched')).body).toEqual(changed.body);
      expect(etagOf(changed)).toBe(`"${changed.body.seq}"`);
    });

    it('[D8d] are answered as each PUT and PATCH left them, next to other writers', async () => {
      await put('busy');
      const other = (ops: unknown[]) => door.call('POST', `${door.at}/updates`, { json: { ops } });
      const own = await Promise.all(
        Array.from({ length: 24 }, async (_, i) => {
          if (i % 4 === 0) await other([{ op: 'patch', id: 'busy', properties: { other: i } }]);
          else if (i % 4 === 1) await other([{ op: 'delete', id: 'busy' }]);
          else if (i % 4 === 2) return { i, answer: await put('busy', { properties: { mine: i } }) };
          else return { i, answer: await patch('busy', { properties: { mine: i } }) };
          return null;
        }),
      );
      const tags = new Set<string>();
      for (const { i, answer } of own.filter((one) => one !== null)) {
        const isPut = i % 4 === 2;
        if (!isPut && answer.status === 404) continue;
        expect([200, 201]).toContain(answer.status);
        expect(answer.body.properties.mine).toBe(i);
        if (isPut) expect(answer.body.properties).toEqual({ mine: i });
        expect(answer.headers.get('ETag')).toBe(`"${answer.body.seq}"`);
        tags.add(etagOf(answer));
      }
      // At most one of all these tags is the object's current tag.
      const again = [...tags].map((etag) => patch('busy', {}, { 'If-Match': etag }));
      const statuses = (await Promise.all(again)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(1);
    });

    it('are returned to a PATCH that changes nothing', async () => {
      const { body } = await put('same', { name: 'same', properties: { a: 1 } });
      const answer = await patch('same', {});
      expect(answer.body).toEqual({
        ...body,
        seq: expect.any(Number),
        updatedAt: expect.any(String),
        updatedBy: body.createdBy,
      });
      expect(answer.body.seq).toBeGreaterThan(body.seq);
    });

    it('are deleted once', async () => {
      await put('deleted');
      const first = await door.call('DELETE', `${objects}/deleted`);
      expect([first.status, first.text]).toEqual([204, '']);
      expect((await door.call('DELETE', `${objects}/deleted`)).status).toBe(404);
      expect((await get('deleted')).status).toBe(404);
    });

    it('are listed page by page, each once', async () => {
      const own = await openSpace(target());
      const ids = Array.from({ length: 7 }, (_, index) => `o${index}`);
      for (const id of ids) await own.call('PUT', `${own.at}/objects/${id}`, { json: {} });
      const seen: string[] = [];
      let cursor: string | null = '';
      for (let pages = 0; pages < 5 && cursor !== null; pages++) {
        const page: Answer = await own.call('GET', `${own.at}/objects?limit=3&cursor=${cursor}`);
        expect(page.status).toBe(200);
        seen.push(...page.body.items.map(({ id }: { id: string }) => id));
        cursor = page.body.nextCursor;
      }
      expect(cursor).toBeNull();
      expect(seen).toEqual(ids);
    });

    it('are 404 for every method if the object or its space does not exist', async () => {
      for (const path of [`${objects}/nobody`, '/v1/spaces/nowhere/objects/nobody']) {
        expect((await door.call('GET', path)).body).toMatchObject({ status: 404, code: 'not_found' });
        expect((await door.call('PATCH', path, { json: { name: 'n' } })).status).toBe(404);
        expect((await door.call('DELETE', path)).status).toBe(404);
      }
      expect((await door.call('PUT', '/v1/spaces/nowhere/objects/o', { json: {} })).status).toBe(404);
      expect((await door.call('GET', '/v1/spaces/nowhere/objects')).status).toBe(404);
    });

    it('answer HEAD as GET without a body', async () => {
      const { headers } = await put('head');
      const head = await door.call('HEAD', `${objects}/head`);
      expect([head.status, head.text, head.headers.get('ETag')]).toEqual([200, '', headers.get('ETag')]);
    });

    it('accept Prefer: respond-async, answer with their seq, and are committed soon', async () => {
      const answers = [
        await put('async', { name: 'first' }, { Prefer: 'respond-async' }),
        await patch('async', { name: 'second' }, { Prefer: 'respond-async' }),
      ];
      for (const { status, headers, body } of answers) {
        expect([status, headers.get('Preference-Applied')]).toEqual([202, 'respond-async']);
        expect(body).toEqual({ seq: expect.any(Number), accepted: 1, durability: 'queued' });
      }
      await expect.poll(async () => (await get('async')).body.name, POLL).toBe('second');
      expect((await get('async')).body.seq).toBe(answers[1]?.body.seq);
      const deleted = await door.call('DELETE', `${objects}/async`, {
        headers: { Prefer: 'respond-async' },
      });
      expect([deleted.status, deleted.body.accepted]).toEqual([202, 1]);
      await expect.poll(async () => (await get('async')).status, POLL).toBe(404);
    });

    it('that are answered before their commit check a condition when they are applied', async () => {
      await put('raced', { name: 'kept' });
      const { status } = await put('raced', { name: 'lost' }, { Prefer: 'respond-async', 'If-Match': '"1"' });
      expect(status).toBe(202);
      // Comes after it in the log.
      expect((await patch('raced', { position: { x: 1 } })).body).toMatchObject({
        name: 'kept',
        position: { x: 1 },
      });
    });

    describe('If-Match', () => {
      it('allows a write that names the current tag, alone or in a list', async () => {
        const first = await put('match');
        const second = await put('match', { name: 'two' }, { 'If-Match': etagOf(first) });
        expect(second.status).toBe(200);
        const listed = `"1", W/"2" ,${etagOf(second)}`;
        const third = await patch('match', { name: 'three' }, { 'If-Match': listed });
        expect(third.status).toBe(200);
        const gone = await door.call('DELETE', `${objects}/match`, {
          headers: { 'If-Match': etagOf(third) },
        });
        expect(gone.status).toBe(204);
      });

      it.each([
        ['an older tag', (etag: string) => `"${Number(etag.slice(1, -1)) - 1}"`],
        ['the current tag, weak', (etag: string) => `W/${etag}`],
        ['a tag that no object has', () => '"abc"'],
        ['the empty tag', () => '""'],
        ['a number too large for a seq', () => '"9999999999999999"'],
      ])('stops every write with 412 for %s, and nothing is changed', async (_, write) => {
        const { body, headers } = await put('kept', { name: 'kept' });
        const conditions = { 'If-Match': write(headers.get('ETag') ?? '') };
        const answers = [
          await put('kept', { name: 'lost' }, conditions),
          await patch('kept', { name: 'lost' }, conditions),
          await door.call('DELETE', `${objects}/kept`, { headers: conditions }),
        ];
        for (const answer of answers)
          expect(answer.body).toMatchObject({ status: 412, code: 'precondition_failed' });
        expect((await get('kept')).body).toEqual(body);
      });

      it('accepts * for any existing object: 412 if there is none', async () => {
        expect((await put('absent', {}, { 'If-Match': '*' })).status).toBe(412);
        expect((await get('absent')).status).toBe(404);
        await put('present');
        expect((await put('present', {}, { 'If-Match': '*' })).status).toBe(200);
      });

      it('also applies to reads', async () => {
        const { headers } = await put('read');
        expect((await get('read', { 'If-Match': '"1"' })).status).toBe(412);
        expect((await get('read', { 'If-Match': headers.get('ETag') ?? '' })).status).toBe(200);
      });
    });

    describe('If-None-Match', () => {
      it('is * for a PUT that must create', async () => {
        expect((await put('new', {}, { 'If-None-Match': '*' })).status).toBe(201);
        const { status, body } = await put('new', { name: 'lost' }, { 'If-None-Match': '*' });
        expect([status, body.code]).toEqual([412, 'precondition_failed']);
        expect((await get('new')).body.name).toBeNull();
      });

      it('answers a read with 304 if the caller has the object, by a strong or a weak tag', async () => {
        const etag = etagOf(await put('cached'));
        for (const header of [etag, `W/${etag}`, `"1", ${etag}`, '*']) {
          const { status, text, headers } = await get('cached', { 'If-None-Match': header });
          expect([status, text, headers.get('ETag')]).toEqual([304, '', etag]);
        }
        expect((await get('cached', { 'If-None-Match': '"1"' })).status).toBe(200);
      });
    });

    it.each([
      ['If-Match', '123'],
      ['If-Match', '"1" "2"'],
      ['If-Match', '"1'],
      ['If-Match', '*, "1"'],
      ['If-Match', Array(101).fill('"1"').join()],
      ['If-None-Match', '"1"'],
      ['If-None-Match', 'none'],
    ])('refuse a write with the header %s: %.20s', async (name, value) => {
      const { status, body } = await put('never', {}, { [name]: value });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', `/${name}`]);
      expect((await get('never')).status).toBe(404);
    });

    it.each([
      ['PUT', { id: 'another' }, '/id'],
      ['PUT', { spaceId: 'elsewhere' }, '/spaceId'],
      ['PATCH', { id: 'another' }, '/id'],
      ['PATCH', { spaceId: 'elsewhere' }, '/spaceId'],
      ['PUT', { position: { x: 1, y: 2 } }, '/position/z'],
      ['PUT', { position: { x: '1', y: 2, z: 3 } }, '/position/x'],
      ['PUT', { position: { x: 1, y: 2, z: 3, w: 4 } }, '/position/w'],
      ['PUT', { properties: [] }, '/properties'],
      ['PUT', { parentId: 'a/b' }, '/parentId'],
      ['PUT', { colour: 'red' }, '/colour'],
      ['PUT', [], ''],
      ['PUT', null, ''],
      ['PATCH', 'text', ''],
    ])('refuse a %s of %j and stay as they were', async (method, json, path) => {
      const before = await put('steady', { name: 'steady' });
      const { status, body } = await door.call(method, `${objects}/steady`, { json });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
      expect((await get('steady')).body).toEqual(before.body);
    });

    it('accept a merge patch only with its own media type', async () => {
      await put('typed');
      const answer = await door.call('PATCH', `${objects}/typed`, {
        json: { name: 'n' },
        headers: { 'Content-Type': 'application/json' },
      });
      expect(answer.body).toMatchObject({ status: 415, code: 'unsupported_media_type' });
      expect(answer.headers.get('Accept-Patch')).toBe(MERGE_PATCH);
      expect((await get('typed')).body.name).toBeNull();
    });
  });
}
