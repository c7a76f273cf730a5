import { describe, expect, it } from 'vitest';
import { createCall, openDoor, openSpace } from '../client.ts';
import { type Runtime, StartRefused } from '../runtimes.ts';
import type { StartTarget, TargetEnv } from '../targets.ts';

export function describeConfiguration({ start, makeEnv, withoutRedis, unserved, refuses }: Runtime): void {
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
      ['MEMORY_FALLBACK_ENABLED', { MEMORY_FALLBACK_ENABLED: 'true', ...withoutRedis }],
      ...unserved,
    ])('that cannot be served is refused in one sentence that names %s', async (name, changes) => {
      const env = makeEnv(changes);
      if (changes.DATABASE_URL === '') env.DATABASE_HTTP_URL = '';
      const isSentence = (text: string) => text.startsWith(`${name} `) && /^[^\n]+\.$/.test(text);
      const secrets = [
        env.UPSTASH_REDIS_REST_TOKEN,
        env.REDIS_PASSWORD,
        readPassword(makeEnv().DATABASE_URL),
      ];
      const hasSecret = (text: string) => secrets.some((secret) => secret && text.includes(secret));

      if (refuses === 'to start') {
        const refusal = await start(env).catch((error: unknown) => error);
        expect(refusal).toBeInstanceOf(StartRefused);
        const { exitCode, output } = refusal as StartRefused;
        expect([exitCode, isSentence(output), hasSecret(output)]).toEqual([2, true, false]);
        return;
      }
      await using(env, async (target) => {
        for (const path of ['/livez', '/health', '/v1/spaces', '/nothing']) {
          const { status, body, headers, text } = await createCall(target, null)('GET', path);
          expect([status, body.code]).toEqual([503, 'misconfigured']);
          expect([isSentence(body.detail), hasSecret(text)]).toEqual([true, false]);
          expect(headers.get('X-Request-Id')).toBe(body.requestId);
        }
      });
    });

    it('without a Redis serves worlds, and reports that there is no cache', async () => {
      const env = makeEnv(withoutRedis);
      await using(env, async (target) => {
        const stranger = createCall(target, null);
        expect((await stranger('GET', '/readyz')).status).toBe(200);
        const { body } = await stranger('GET', '/health');
        expect(body).toMatchObject({ status: 'ok', persistence: { database: true, cache: false } });
        const { call } = await openDoor(target);
        expect((await call('PUT', '/v1/spaces/s', { json: { name: 's' } })).status).toBe(201);
      });
    });

    it('allows pages of the configured origins, also for errors, and no others', async () => {
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

    it('sets the largest size of bodies, separately for a whole world', async () => {
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

    it('repeats an answer of /health for the configured time', async () => {
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

function readPassword(url: string | undefined): string {
  return new URL(url ?? '').password;
}
