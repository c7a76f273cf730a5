import { describe, expect, it } from 'vitest';
import { ROUTES } from '../../../functions/routes/index.ts';
import { createCall, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';

export function describeProtocol(target: () => Target): void {
  describe('every answer', () => {
    const call: ReturnType<typeof createCall> = (...args) => createCall(target(), null)(...args);

    it('that is an error is problem+json with all its members', async () => {
      const { body, headers } = await call('GET', '/v1/nothing?x=1', {
        headers: { 'X-Request-Id': 'abc-1' },
      });
      expect(headers.get('Content-Type')).toBe('application/problem+json');
      expect(body).toEqual({
        type: 'urn:worldkeep:problem:not_found',
        title: expect.any(String),
        status: 404,
        detail: expect.any(String),
        instance: '/v1/nothing',
        code: 'not_found',
        requestId: 'abc-1',
        errors: [],
      });
    });

    it('has a request id: the caller’s if it is valid, else a new one', async () => {
      for (const path of ['/livez', '/v1/spaces', '/nothing']) {
        const given = await call('GET', path, { headers: { 'X-Request-Id': 'caller-7_x=' } });
        expect(given.headers.get('X-Request-Id')).toBe('caller-7_x=');
      }
      for (const id of ['a'.repeat(129), 'a b', '<script>', '"']) {
        const { headers } = await call('GET', '/livez', { headers: { 'X-Request-Id': id } });
        expect(headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
      }
      expect((await call('GET', '/livez')).headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
    });

    it('to an unknown query parameter is 422, and names it', async () => {
      const own = await openSpace(target());
      const keyed = createCall(target(), await own.apiKey(['read', 'write', 'admin']));
      // A route for signed deliveries answers 401 first.
      for (const { method, path, access } of ROUTES.filter((route) => route.access !== 'signed')) {
        const at = path.replace('{space}', 'here').replace('{id}', 'o');
        const ask = access === 'open' ? call : keyed;
        const { status, body } = await ask(method.toUpperCase(), `${at}?unknown=1`);
        expect([method, path, status, body?.errors?.[0]?.path]).toEqual([method, path, 422, '/unknown']);
      }
    });

    it('to a method that its route does not have names the allowed methods', async () => {
      const { status, body, headers } = await call('POST', '/v1/spaces/here/objects/o', { json: {} });
      expect([status, body.code]).toEqual([405, 'method_not_allowed']);
      const allowed = (headers.get('Allow') ?? '').split(', ').toSorted();
      expect(allowed).toEqual(['DELETE', 'GET', 'HEAD', 'PATCH', 'PUT']);
      expect(headers.get('X-Request-Id')).not.toBeNull();
      expect((await call('DELETE', '/livez')).status).toBe(405);
    });

    it('forbids caching and guesses about its type', async () => {
      const { at, call: inside } = await openSpace(target());
      for (const path of [at, `${at}/objects`, '/v1/keys', '/health', '/nothing'])
        expect((await inside('GET', path)).headers.get('Cache-Control')).toBe('no-store');
      const state = await inside('GET', `${at}/state`);
      expect(state.headers.get('Cache-Control')).toBe('private, no-cache');
      expect(state.headers.get('X-Content-Type-Options')).toBe('nosniff');
    });

    it('allows no other origin by default', async () => {
      const { headers } = await call('GET', '/livez', { headers: { Origin: 'https://play.example' } });
      expect(headers.get('Access-Control-Allow-Origin')).toBeNull();
      expect((await call('OPTIONS', '/v1/spaces', { headers: { Origin: 'https://a.example' } })).status).toBe(
        405,
      );
    });
  });
}
