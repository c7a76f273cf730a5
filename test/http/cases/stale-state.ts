import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSpace } from '../client.ts';
import type { OwnRedis } from '../own-redis.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';
import { post } from './updates.ts';

const STALE = { 'Cache-Control': 'max-stale=30' };

/** States that a process shows from its memory, to readers that accept an older state. */
export function describeStaleState({ start, makeEnv, openOwnRedis }: Runtime): void {
  describe('an older state', () => {
    let redis: OwnRedis;
    let target: Target;
    beforeAll(async () => {
      redis = await openOwnRedis();
      target = await start(
        makeEnv({ ...redis.env, RATE_LIMIT_REQUESTS_PER_MINUTE: '0', API_KEY_CACHE_SECONDS: '60' }),
      );
    });
    afterAll(async () => {
      await target?.stop();
      await redis?.close();
    });

    async function openWorld() {
      const door = await openSpace(target);
      await post(door, [{ op: 'put', id: 'a', position: { x: 1, y: 0, z: 0 } }], { Prefer: 'wait' });
      const read = (headers: Record<string, string> = {}, query = '') =>
        door.call('GET', `${door.at}/state${query}`, { headers });
      return { door, read, fresh: await read() };
    }

    it('[S8a] costs no command, shows its age, and is shown only to readers that accept it', async () => {
      const { door, read, fresh } = await openWorld();
      expect(fresh.headers.get('Age')).toBeNull();
      await post(door, [{ op: 'put', id: 'b' }], { Prefer: 'wait' });
      const seen: string[] = [];
      const readTwenty = async () => {
        for (let i = 0; i < 20; i++) {
          const { status, text, headers } = await read(STALE);
          seen.push(`${status} ${text === fresh.text} ${headers.get('ETag') === fresh.headers.get('ETag')}`);
          expect(Number(headers.get('Age'))).toBeLessThanOrEqual(30);
        }
        const region = await read(STALE, '?near=1,0,0&radius=1');
        expect(region.body.objects).toMatchObject([{ id: 'a' }]);
      };
      // Work for earlier writes may still send commands. If a read cost a command, this list would never be empty.
      await expect.poll(() => redis.listCommands(readTwenty)).toEqual([]);
      expect(new Set(seen)).toEqual(new Set(['200 true true']));
      const now = await read();
      expect(now.body.objects.map(({ id }: { id: string }) => id)).toEqual(['a', 'b']);
      // From now on the process holds the state that was just read.
      expect((await read(STALE)).text).toBe(now.text);
    });

    it('[S8c] is never older than the seq that the reader names', async () => {
      const { door, read, fresh } = await openWorld();
      const { seq } = (await post(door, [{ op: 'put', id: 'b' }], { Prefer: 'wait' })).body;
      const known = { ...STALE, 'If-None-Match': fresh.headers.get('ETag') ?? '' };
      const same = await read(known);
      expect([same.status, same.headers.get('Age')]).toEqual([304, expect.stringMatching(/^\d+$/)]);
      const newer = await read({ ...STALE, 'If-None-Match': `"${seq}.999"` });
      expect(newer.body.seq).toBeGreaterThanOrEqual(seq);
    });

    it.each(['max-stale=0', 'max-stale=x', 'max-staler=30', 'no-cache', 'max-age=0'])(
      '[S8] is not shown for Cache-Control: %s',
      async (value) => {
        const { door, read } = await openWorld();
        await post(door, [{ op: 'put', id: 'b' }], { Prefer: 'wait' });
        const { body, headers } = await read({ 'Cache-Control': value });
        expect(body.objects).toHaveLength(2);
        expect(headers.get('Age')).toBeNull();
      },
    );

    it('[S8d] is not shown after this process erased a person in it, nor to another tenant', async () => {
      const { door, read } = await openWorld();
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      await post(door, [{ op: 'user.patch', id: 'ann', position: { x: 0, y: 0, z: 0 } }], { Prefer: 'wait' });
      expect((await read()).text).toContain('Ann');
      expect((await read(STALE)).text).toContain('Ann');
      expect((await door.call('DELETE', '/v1/users/ann')).status).toBe(204);
      expect((await read(STALE)).text).not.toContain('Ann');
      const stranger = await openSpace(target, 'theirs');
      const other = await stranger.call('GET', `${door.at}/state`, { headers: STALE });
      expect([other.status, other.body.objects?.length ?? 0]).toEqual(
        door.at === stranger.at ? [200, 0] : [404, 0],
      );
    });
  });
}
