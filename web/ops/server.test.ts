import { expect, it } from 'vitest';
import { buildPath, Refused } from './server.ts';

it('builds a path with the given parts of a query', () => {
  expect(buildPath('/v1/audit', { space: 'a b', object: '', from: null, to: undefined, limit: 5 })).toBe(
    '/v1/audit?space=a+b&limit=5',
  );
  expect(buildPath('/v1/keys', { cursor: null })).toBe('/v1/keys');
});

it('knows a route that the server does not have from one that refuses', () => {
  expect(new Refused(404, 'not_found', '').isMissing).toBe(true);
  expect(new Refused(501, 'no_live_log', '').isMissing).toBe(true);
  expect(new Refused(503, 'store_unavailable', '').isMissing).toBe(false);
});
