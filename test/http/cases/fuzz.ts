import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';

const RUNS = { numRuns: 60 };

/** JSON with names that the API knows, so that some of it passes the first check. */
const { body } = fc.letrec((tie) => ({
  body: fc.oneof(
    { maxDepth: 5 },
    fc.jsonValue({ stringUnit: 'binary' }),
    fc.double(),
    fc.constantFrom(0, -0, 1e308, 5e-324, 'a', 'a/b', '', '\u0000', '\ud800', '2030-01-01T00:00:00Z'),
    fc.array(tie('body'), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        ...[
          'id',
          'name',
          'objects',
          'users',
          'models',
          'media',
          'chat',
          'chatHistory',
          'text',
          'url',
          'bytes',
        ],
        ...[
          'position',
          'rotation',
          'scale',
          'properties',
          'x',
          'y',
          'z',
          'w',
          'spaceId',
          'seq',
          'displayName',
        ],
        ...[
          'scopes',
          'expiresAt',
          'bounds',
          'min',
          'max',
          'settings',
          'parentId',
          'modelId',
          '__proto__',
          'toString',
        ],
        ...['userId', 'role', 'ttlSeconds', 'avatarUrl'],
      ),
      tie('body'),
      { maxKeys: 6 },
    ),
  ),
}));

/** Operations that are nearly valid, so that many are accepted. */
const operations = fc.array(
  fc.record(
    {
      op: fc.constantFrom('put', 'patch', 'delete', 'user.patch', 'stage', 'PUT', ''),
      id: fc.constantFrom('o', 'p', 'q', '', 'a/b', 'x'.repeat(129)),
      name: fc.oneof(fc.string({ unit: 'binary' }), fc.constant(null)),
      position: fc.record({ x: fc.double(), y: fc.double(), z: fc.double() }, { requiredKeys: ['x'] }),
      rotation: fc.record({ x: fc.double(), y: fc.double(), z: fc.double(), w: fc.double() }),
      properties: fc.oneof(fc.jsonValue(), fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())),
      ifSeq: fc.oneof(fc.integer({ min: -1, max: 2 }), fc.double(), fc.maxSafeNat()),
    },
    { requiredKeys: ['op', 'id'] },
  ),
  { maxLength: 5 },
);

const header = fc.string({ unit: fc.constantFrom(...'"*W/,0123456789 abc\\\t;='), maxLength: 30 });
const pathPart = fc.oneof(
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 20 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
  fc.string({ unit: fc.constantFrom(...'%2Ff0.-_:~!$&()*+,;=@'), minLength: 1, maxLength: 20 }),
);

export function describeFuzz(target: () => Target): void {
  describe('random requests', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
      await door.call('PUT', `${door.at}/objects/o`, { json: { properties: { a: 1 } } });
    });

    it('any JSON on any route gets a status below 500', async () => {
      const routes = fc.constantFrom(
        ...[
          ['PUT', '/v1/spaces/fuzzed'],
          ['PUT', '/objects/o'],
          ['PATCH', '/objects/o'],
        ],
        ...[
          ['PUT', '/state'],
          ['PUT', '/state?mode=merge'],
          ['POST', '/v1/keys'],
          ['PUT', '/v1/users/fuzzed'],
          ['POST', '/v1/sessions'],
          ['POST', '/updates'],
        ],
      );
      await fc.assert(
        fc.asyncProperty(routes, body, async ([method = '', path = ''], json) => {
          const text = JSON.stringify(json) ?? 'null';
          const full = path.startsWith('/v1') ? path : `${door.at}${path}`;
          const answer = await door.call(method, full, { text });
          expect([answer.status < 500, answer.status, answer.text]).toEqual([
            true,
            answer.status,
            answer.text,
          ]);
          if (answer.status >= 400) expect(answer.body.code).toEqual(expect.any(String));
        }),
        RUNS,
      );
    });

    it('any operations, preference and key get a status below 500', async () => {
      await fc.assert(
        fc.asyncProperty(operations, header, header, async (ops, wish, key) => {
          const headers = { Prefer: `wait, ${wish}`, 'Idempotency-Key': key };
          for (const options of [{ headers }, {}]) {
            const text = JSON.stringify({ ops }) ?? 'null';
            const { status, body } = await door.call('POST', `${door.at}/updates`, { text, ...options });
            expect([status < 500, status, body]).toEqual([true, status, body]);
          }
        }),
        RUNS,
      );
    });

    it('any bytes get a status below 500', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (text) => {
          const { status } = await door.call('PUT', `${door.at}/objects/o`, { text });
          expect(status).toBeLessThan(500);
          const updates = await door.call('POST', `${door.at}/updates`, { text });
          expect(updates.status).toBeLessThan(500);
        }),
        RUNS,
      );
    });

    it('any path, query, condition and credential get a status below 500', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom('GET', 'PUT', 'DELETE'),
          ...[pathPart, pathPart, header, header],
          async (method, space, object, match, credential) => {
            const headers = { 'If-Match': match, 'If-None-Match': match, 'X-Request-Id': match };
            const json = method === 'PUT' ? { json: {} } : {};
            const answers = [
              await door.call(method, `/v1/spaces/${space}/objects/${object}`, { ...json, headers }),
              await door.call('GET', `${door.at}/state?${object}=${space}`, { headers }),
              await door.call('POST', `/v1/spaces/x${space}/updates`, { json: { ops: [] }, headers }),
              await door.call('POST', `/v1/dead-letters/x${object}/replay`, { headers }),
              await door.call('DELETE', `/v1/dead-letters/x${object}`, { headers }),
              await door.call('GET', `/v1/dead-letters?cursor=${object}`, { headers }),
              await door.call('GET', '/v1/spaces', { headers: { Authorization: `Bearer ${credential}` } }),
            ];
            for (const { status } of answers) expect(status).toBeLessThan(500);
          },
        ),
        RUNS,
      );
    });
  });
}
