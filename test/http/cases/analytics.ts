import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestNeon } from '../../layers.ts';
import { stack } from '../../support.ts';
import { createCall, type Door, openDoor, openSpace, waitUntilReady } from '../client.ts';
import type { FragileStores, Runtime } from '../runtimes.ts';
import { signDelivery, signedVariables } from '../sign-delivery.ts';
import type { Target } from '../targets.ts';

const PATHS = ['activity', 'spaces', 'models', 'retention'].map((name) => `/v1/analytics/${name}`);
const REFRESH = '/jobs/refresh-views';
const VIEWS = ['daily_activity', 'peak_presence', 'popular_models', 'retention', 'space_statistics'];
const postgres = openTestNeon();

export function describeAnalytics({ start, makeEnv, openFragileStores }: Runtime): void {
  describe('analytics', () => {
    let stores: FragileStores;
    let target: Target;
    beforeAll(async () => {
      stores = await openFragileStores();
      target = await start(
        makeEnv({
          ...stores.env,
          ...signedVariables(),
        }),
      );
    });
    afterAll(async () => {
      await target?.stop();
      await stores?.close();
    });

    const refresh = async (headers: Record<string, string> = {}) =>
      createCall(target, null)('POST', REFRESH, { headers });
    const sign = async () => ({
      'Upstash-Signature': await signDelivery({
        key: stack().qstashCurrentSigningKey,
        path: REFRESH,
      }),
    });
    /** Another test may refresh a view at the same time: then its own call comes too late for this data. */
    const refreshAll = () =>
      expect
        .poll(async () => Object.keys((await refresh(await sign())).body.views).toSorted(), {
          timeout: 20_000,
        })
        .toEqual(VIEWS);

    /** A tenant with one session of yesterday, in a space whose name is a formula. */
    async function openUsed(): Promise<Door & { day: string }> {
      const door = await openSpace(target);
      const day = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
      await door.call('PUT', '/v1/spaces/here', { json: { name: '=HYPERLINK("http://evil.example")' } });
      await door.call('PUT', '/v1/spaces/here/objects/seat', { json: { modelId: 'chair' } });
      const event = { user: 'ann', space: 'here' };
      const events = [
        { ...event, id: 'a', type: 'session.start', at: `${day}T10:00:00Z` },
        { ...event, id: 'b', type: 'session.end', at: `${day}T10:05:00Z`, data: { seconds: 300 } },
      ];
      const text = JSON.stringify([{ tenant: door.tenantId, events }]);
      await postgres.inTenant('', (db) => [
        db.select({ status: sql`status` }).from(sql`store_events(null, 0::bigint, 0::bigint, ${text}::json)`),
      ]);
      await refreshAll();
      return { ...door, day };
    }

    it('[N3] answer what the refresh counted, as JSON', async () => {
      const { call, day } = await openUsed();
      const read = async (path: string) => {
        const { status, body, headers } = await call('GET', path);
        expect([status, headers.get('Vary')]).toEqual([200, expect.stringContaining('Accept')]);
        expect(Date.parse(body.refreshedAt)).toBeGreaterThan(Date.parse(day));
        return body.rows;
      };
      const usage = { people: 1, sessions: 1, minutes: 5, peak: 1 };
      expect(await read(`/v1/analytics/activity?from=${day}&to=${day}`)).toMatchObject([
        { day, spaceId: 'here', ...usage },
      ]);
      expect(await read('/v1/analytics/spaces')).toMatchObject([{ spaceId: 'here', ...usage, objects: 1 }]);
      expect(await read('/v1/analytics/models')).toEqual([
        { modelId: 'chair', name: null, objects: 1, spaces: 1 },
      ]);
      expect(await read('/v1/analytics/retention')).toEqual([
        { day, people: 1, day1: null, day7: null, day30: null },
      ]);
    });

    it('[N4] answer a file for spreadsheets where the caller accepts one', async () => {
      const { call, day } = await openUsed();
      const read = (path: string) => call('GET', path, { headers: { Accept: 'text/csv' } });
      const { status, headers, text } = await read(`/v1/analytics/activity?from=${day}&to=${day}`);
      expect([status, headers.get('Content-Type')]).toEqual([200, 'text/csv; charset=utf-8']);
      expect(headers.get('Content-Disposition')).toBe(`attachment; filename="activity-${day}-${day}.csv"`);
      const [head, row] = text.split('\r\n');
      expect(head).toBe('day,spaceId,people,sessions,minutes,changes,messages,peak');
      expect(row).toMatch(new RegExp(`^${day},here,1,1,5,\\d+,0,1$`));
      // Nothing that a caller wrote becomes a formula.
      expect((await read('/v1/analytics/spaces')).text).toContain(`,"'=HYPERLINK(""http://evil.example"")",`);
      expect((await read('/v1/analytics/models')).text).toBe('modelId,name,objects,spaces\r\nchair,,1,1\r\n');
      expect((await read('/v1/analytics/retention')).text).toBe(
        `day,people,day1,day7,day30\r\n${day},1,,,\r\n`,
      );
      const html = await call('GET', '/v1/analytics/models', { headers: { Accept: 'text/html' } });
      expect(html.headers.get('Content-Type')).toBe('application/json');
    });

    it('[N1a] show a tenant nothing of another, and a new tenant no rows', async () => {
      const { day } = await openUsed();
      const stranger = await openDoor(target);
      for (const path of PATHS) {
        const { status, body } = await stranger.call('GET', `${path}?from=${day}`);
        expect([status, body.rows, body.truncated]).toEqual([200, [], false]);
      }
    });

    it('[N3d] are for keys that may read', async () => {
      const door = await openSpace(target);
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const session = await door.call('POST', '/v1/sessions', {
        json: { userId: 'ann', spaceId: 'here', role: 'owner' },
      });
      for (const path of PATHS) {
        expect((await createCall(target, null)('GET', path)).status).toBe(401);
        for (const credential of [await door.apiKey(['write', 'admin']), session.body.token])
          expect((await createCall(target, credential)('GET', path)).status).toBe(403);
        expect((await createCall(target, await door.apiKey(['read']))('GET', path)).status).toBe(200);
      }
    });

    it('[N3b] refuse a span that is none', async () => {
      const { call } = await openDoor(target);
      for (const [query, path] of [
        ['from=2026-02-30', '/from'],
        ['to=tomorrow', '/to'],
        ['from=2026-11-02&to=2026-11-01', '/from'],
        ['from=2024-01-01&to=2026-11-01', '/from'],
        ['day=2026-11-01', '/day'],
      ]) {
        const { status, body } = await call('GET', `/v1/analytics/activity?${query}`);
        expect([status, body.code, body.errors[0].path]).toEqual([422, 'validation_failed', path]);
      }
    });

    it('[N5] are refreshed only by QStash, and no store is asked for another caller', async () => {
      const door = await openDoor(target);
      stores.postgres.inject('refuse');
      try {
        const headers = await sign();
        for (const answer of [
          await refresh(),
          await door.call('POST', REFRESH),
          await refresh({
            'Upstash-Signature': await signDelivery({
              key: stack().qstashCurrentSigningKey,
              path: '/jobs/cleanup',
            }),
          }),
        ])
          expect([answer.status, answer.body.code]).toEqual([401, 'unauthorized']);
        const signed = await refresh(headers);
        expect([signed.status, signed.body.code]).toEqual([503, 'store_unavailable']);
        for (const path of PATHS) expect((await door.call('GET', path)).status).toBe(503);
      } finally {
        stores.postgres.clear();
        await waitUntilReady(target);
      }
      const { status, body } = await refresh(await sign());
      expect(status).toBe(200);
      for (const [view, ms] of Object.entries(body.views)) {
        expect(VIEWS).toContain(view);
        expect(ms).toBeGreaterThanOrEqual(0);
      }
    });
  });
}
