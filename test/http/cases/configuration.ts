import { describe, expect, it } from 'vitest';
import { createCall, openDoor, openSpace } from '../client.ts';
import { makeEnv, type StartTarget, type TargetEnv } from '../targets.ts';

export function describeConfiguration(start: StartTarget): void {
  async function using<T>(env: TargetEnv, run: (target: Awaited<ReturnType<StartTarget>>) => Promise<T>) {
    const target = await start(env);
    try {
      return await run(target);
    } finally {
      await target.stop();
    }
  }

  describe('configuration', () => {
    it.each<[string, TargetEnv]>([
      ['DATABASE_URL', { DATABASE_URL: '' }],
      ['CACHE_ENABLED', { CACHE_ENABLED: 'maybe' }],
      ['PERSISTENCE_ENABLED', { PERSISTENCE_ENABLED: 'false' }],
      ['MEMORY_FALLBACK_ENABLED', { MEMORY_FALLBACK_ENABLED: 'true' }],
      ['AUDIT_TRANSFORMS', { AUDIT_TRANSFORMS: 'on' }],
      ['REDIS_HOST', { REDIS_HOST: 'localhost', UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' }],
      ['DATABASE_URL', { DATABASE_HTTP_URL: '' }],
    ])('that cannot be served is 503 on every route, naming %s', async (name, changes) => {
      const env = makeEnv({ DATABASE_HTTP_URL: makeEnv().DATABASE_HTTP_URL ?? '', ...changes });
      if (changes.DATABASE_URL === '') env.DATABASE_HTTP_URL = '';
      await using(env, async (target) => {
        for (const path of ['/livez', '/health', '/v1/spaces', '/nothing']) {
          const { status, body, headers, text } = await createCall(target, null)('GET', path);
          expect([status, body.code]).toEqual([503, 'misconfigured']);
          expect(body.detail.startsWith(`${name} `)).toBe(true);
          expect(headers.get('X-Request-Id')).toBe(body.requestId);
          for (const secret of [env.UPSTASH_REDIS_REST_TOKEN, new URL(makeEnv().DATABASE_URL ?? '').password])
            if (secret) expect(text).not.toContain(secret);
        }
      });
    });

    it('without a Redis serves worlds, and says that there is no cache', async () => {
      const env = makeEnv({ UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' });
      await using(env, async (target) => {
        const stranger = createCall(target, null);
        expect((await stranger('GET', '/readyz')).status).toBe(200);
        const { body } = await stranger('GET', '/health');
        expect(body).toMatchObject({ status: 'ok', persistence: { database: true, cache: false } });
        const { call } = await openDoor(target);
        expect((await call('PUT', '/v1/spaces/s', { json: { name: 's' } })).status).toBe(201);
      });
    });

    it('lets the pages of the origins it names in, errors included, and no others', async () => {
      await using(makeEnv({ CORS_ALLOWED_ORIGINS: 'https://play.example' }), async (target) => {
        const stranger = createCall(target, null);
        const from = (origin: string) => ({ headers: { Origin: origin } });
        const refused = await stranger('GET', '/v1/spaces', from('https://play.example'));
        expect(refused.status).toBe(401);
        expect(refused.headers.get('Access-Control-Allow-Origin')).toBe('https://play.example');
        expect(refused.headers.get('Access-Control-Expose-Headers')).toContain('ETag');
        const preflight = await stranger('OPTIONS', '/v1/spaces/s/objects/o', {
          headers: { Origin: 'https://play.example', 'Access-Control-Request-Method': 'PATCH' },
        });
        expect(preflight.status).toBe(204);
        expect(preflight.headers.get('Access-Control-Allow-Methods')).toContain('PATCH');
        expect(preflight.headers.get('Access-Control-Allow-Headers')).toContain('If-Match');
        const other = await stranger('GET', '/livez', from('https://evil.example'));
        expect(other.headers.get('Access-Control-Allow-Origin')).toBeNull();
      });
    });

    it('sets how large bodies may be, a whole world’s apart from the rest', async () => {
      const env = makeEnv({ JSON_BODY_BYTES_MAX: '2048', STATE_BODY_BYTES_MAX: '4096' });
      await using(env, async (target) => {
        const { at, call } = await openSpace(target);
        const pad = (bytes: number) => `{"objects":[]}${' '.repeat(bytes - 14)}`;
        expect((await call('PUT', `${at}/state`, { text: pad(4_096) })).status).toBe(200);
        const { status, body } = await call('PUT', `${at}/state`, { text: pad(4_097) });
        expect([status, body.code]).toEqual([413, 'body_too_large']);
        expect(body.detail).toMatch(/at most 4096 bytes.*4097/);
        const object = await call('PUT', `${at}/objects/o`, { text: pad(2_049) });
        expect(object.body.detail).toMatch(/at most 2048 bytes.*2049/);
      });
    });

    it('repeats what /health said for as long as it is told', async () => {
      await using(makeEnv({ HEALTH_CACHE_SECONDS: '60' }), async (target) => {
        const { call } = await openDoor(target);
        await call('PUT', '/v1/spaces/s', { json: { name: 's' } });
        const first = await call('GET', '/health');
        await call('PUT', '/v1/spaces/s/objects/o', { json: {} });
        expect((await call('GET', '/health')).body).toEqual(first.body);
      });
    });
  });
}
