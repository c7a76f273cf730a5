import { describe, expect, it } from 'vitest';
import { makeTenant } from '../../tenants.ts';
import { createCall, openSpace } from '../client.ts';
import type { Target, TargetEnv } from '../targets.ts';

export function describeHealth(target: () => Target, env: () => TargetEnv): void {
  describe('health', () => {
    it('/livez lives', async () => {
      const { status, body } = await createCall(target(), null)('GET', '/livez');
      expect([status, body]).toEqual([200, { status: 'ok' }]);
    });

    it('/readyz is ready while both stores answer', async () => {
      const { status, body } = await createCall(target(), null)('GET', '/readyz');
      expect(status).toBe(200);
      expect(body).toEqual({ status: 'ready', persistence: { database: true, cache: true } });
    });

    it('/health counts the caller’s tenant', async () => {
      const { at, call } = await openSpace(target());
      await call('PUT', `${at}/state`, {
        json: {
          objects: [{ id: 'a' }, { id: 'b' }],
          users: [{ id: 'u', displayName: 'U' }],
          models: [{ id: 'm', url: 'https://models.example/m.glb' }],
        },
      });
      const { status, body } = await call('GET', '/health');
      expect(status).toBe(200);
      expect(body).toEqual({
        status: 'ok',
        persistence: { database: true, cache: true },
        awaySince: { database: null, cache: null },
        worldState: { users: 1, objects: 2, models: 1 },
        // The save is one operation, however many objects it has.
        batchProcessor: { processed: 1, queued: 0, averageLatency: expect.any(Number), noEffect: 0 },
        durabilityLagMs: 0,
        log: 'ok',
      });
    });

    it('/health counts the operations in the logs of the caller’s tenant', async () => {
      const { at, call } = await openSpace(target());
      const nothing = (await call('GET', '/health')).body;
      expect(nothing.batchProcessor).toEqual({ processed: 0, queued: 0, averageLatency: 0, noEffect: 0 });
      const ops = ['a', 'b', 'c'].map((id) => ({ op: 'put', id }));
      await call('POST', `${at}/updates`, { json: { ops }, headers: { Prefer: 'wait' } });
      const { batchProcessor, durabilityLagMs } = (await call('GET', '/health')).body;
      expect(batchProcessor).toEqual({
        processed: 3,
        queued: 0,
        averageLatency: expect.any(Number),
        noEffect: 0,
      });
      expect([batchProcessor.averageLatency > 0, durabilityLagMs]).toEqual([true, 0]);
    });

    it('/health counts accepted operations without effect', async () => {
      const { at, call } = await openSpace(target());
      const send = (ops: unknown[], headers: Record<string, string> = {}) =>
        call('POST', `${at}/updates`, { json: { ops }, headers });
      await send([{ op: 'put', id: 'o' }]);
      await send([
        { op: 'patch', id: 'none', name: 'lost' },
        { op: 'put', id: 'o', ifSeq: 1 },
        { op: 'delete', id: 'nothing' },
        { op: 'user.patch', id: 'nobody' },
      ]);
      await send(
        [
          { op: 'patch', id: 'none' },
          { op: 'patch', id: 'o' },
        ],
        { Prefer: 'wait' },
      );
      const { batchProcessor } = (await call('GET', '/health')).body;
      expect(batchProcessor).toMatchObject({ processed: 7, queued: 0, noEffect: 5 });
    });

    it('/health counts only the default tenant for a caller without a credential', async () => {
      const stranger = createCall(target(), null);
      const before = await stranger('GET', '/health');
      expect(before.body.worldState).toEqual({ users: 0, objects: 0, models: 0 });
      const tenant = await makeTenant(env().DEFAULT_TENANT_ID);
      const call = createCall(target(), await tenant.apiKey(['write']));
      await call('PUT', '/v1/spaces/main', { json: { name: 'Main' } });
      await call('PUT', '/v1/spaces/main/objects/o', { json: {} });
      expect((await stranger('GET', '/health')).body.worldState).toEqual({ users: 0, objects: 1, models: 0 });
    });

    it('/health refuses an unknown credential', async () => {
      const { status } = await createCall(target(), 'nonsense')('GET', '/health');
      expect(status).toBe(401);
    });
  });
}
