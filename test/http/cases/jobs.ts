import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUpkeepStore } from '../../../src/postgres/upkeep-store.ts';
import { addAuditRows, waitForTransactions } from '../../audit-rows.ts';
import { fillTenant } from '../../jobs/old-and-new.ts';
import { openOwnDatabase } from '../../own-database.ts';
import { stack, uniqueName } from '../../support.ts';
import { type Call, createCall, type Door, openDoor, waitUntilReady } from '../client.ts';
import type { FragileStores, Runtime } from '../runtimes.ts';
import { PUBLIC_URL, signDelivery, signedVariables } from '../sign-delivery.ts';
import type { Target } from '../targets.ts';

export function describeJobs({ start, makeEnv, openFragileStores }: Runtime): void {
  describe('jobs', () => {
    let stores: FragileStores;
    let target: Target;
    let door: Door;
    let call: Call;
    beforeAll(async () => {
      stores = await openFragileStores();
      target = await start(
        makeEnv({
          ...stores.env,
          ...signedVariables(),
        }),
      );
      door = await openDoor(target);
      call = createCall(target, null);
    });
    afterAll(async () => {
      await target?.stop();
      await stores?.close();
    });

    const sign = (body: string, key = stack().qstashCurrentSigningKey) => signDelivery({ body, key });
    const drain = async (body: string, signature: string, by = call) =>
      by('POST', '/jobs/drain', { text: body, headers: { 'Upstash-Signature': signature } });

    it('are 401 for every caller except QStash, with any key, and no store is asked', async () => {
      const body = '{}';
      // A request that asks a store now gets 503.
      stores.postgres.inject('refuse');
      stores.redis.inject('refuse');
      try {
        for (const answer of [
          await call('POST', '/jobs/drain', { text: body }),
          await door.call('POST', '/jobs/drain', { text: body }),
          await drain(body, await sign(body, 'sig_of_somebody_else')),
          await drain(body, await sign('{"spaceId":"other"}')),
          await drain(body, 'nothing', door.call),
        ])
          expect([answer.status, answer.body.code]).toEqual([401, 'unauthorized']);
        const signed = await drain(body, await sign(body));
        expect([signed.status, signed.body.code]).toEqual([503, 'store_unavailable']);
        expect(Number(signed.headers.get('Retry-After'))).toBeGreaterThan(0);
      } finally {
        stores.postgres.clear();
        stores.redis.clear();
        await waitUntilReady(target);
      }
    });

    it('drain a space, and report the same if a delivery comes again', async () => {
      const { tenantId } = door;
      await door.call('PUT', '/v1/spaces/here', { json: { name: 'Here' } });
      const ops = [{ op: 'put', id: 'lamp', name: 'Lamp' }];
      const queued = await door.call('POST', '/v1/spaces/here/updates', { json: { ops } });
      expect([queued.status, queued.body.durability]).toEqual([202, 'queued']);
      const body = JSON.stringify({ tenantId, spaceId: 'here' });
      const signature = await sign(body);
      const drained = await drain(body, signature);
      // All is committed now, also if the append's own drain was faster.
      expect([drained.status, drained.body.status]).toEqual([200, 'drained']);
      const { body: state } = await door.call('GET', '/v1/spaces/here/state');
      expect(state.objects).toMatchObject([{ id: 'lamp', seq: queued.body.seq }]);
      expect(state.durableSeq).toBe(queued.body.seq);
      const again = await drain(body, signature);
      expect([again.status, again.body]).toEqual([200, { status: 'already_done' }]);
    });

    it('also accept the next signing key', async () => {
      const body = '{"tenantId":"t"}';
      for (const key of [stack().qstashCurrentSigningKey, stack().qstashNextSigningKey]) {
        const { status, headers } = await drain(body, await sign(body, key));
        // The signature is accepted; the body is refused.
        expect([status, headers.get('Upstash-NonRetryable-Error')]).toEqual([489, 'true']);
      }
    });

    it('[U1] clean up what is over its time, and answer the counts', async () => {
      // The cleanup is of all tenants, and tests of others have rows of any age.
      const database = await openOwnDatabase();
      let cleaning: Target | undefined;
      try {
        await fillTenant(database.postgres, database.admin, Date.now());
        const { qstashToken, qstashCurrentSigningKey, qstashNextSigningKey } = stack();
        cleaning = await start(
          makeEnv({
            DATABASE_URL: database.url,
            QSTASH_TOKEN: qstashToken,
            QSTASH_CURRENT_SIGNING_KEY: qstashCurrentSigningKey,
            QSTASH_NEXT_SIGNING_KEY: qstashNextSigningKey,
            PUBLIC_URL,
          }),
        );
        const path = '/jobs/cleanup';
        const caller = createCall(cleaning, null);
        const clean = async () =>
          caller('POST', path, {
            headers: { 'Upstash-Signature': await signDelivery({ key: qstashCurrentSigningKey, path }) },
          });
        const { status, body: report } = await clean();
        expect([status, report]).toMatchObject([200, { counts: { messages: 1, spaces: 1 }, left: [] }]);
        expect((await clean()).body).toEqual({ counts: {}, left: [] });
        const [run] = await createUpkeepStore(database.postgres).listRuns(1);
        expect(run).toMatchObject({ job: 'cleanup', failure: null, endedAt: expect.any(String) });
      } finally {
        await cleaning?.stop();
        await database.close();
      }
    });

    it('[Q1] seal the rows of the audit, for QStash only', async () => {
      const database = await openOwnDatabase();
      let sealing: Target | undefined;
      try {
        await addAuditRows(database.admin, uniqueName('t'), { count: 3 });
        await waitForTransactions(database.admin);
        sealing = await start(makeEnv({ DATABASE_URL: database.url, ...signedVariables() }));
        const path = '/jobs/seal-audit';
        const caller = createCall(sealing, null);
        expect((await caller('POST', path)).status).toBe(401);
        const run = async () =>
          caller('POST', path, {
            headers: {
              'Upstash-Signature': await signDelivery({ key: stack().qstashCurrentSigningKey, path }),
            },
          });
        const { status, body } = await run();
        expect([status, body.status]).toEqual([200, 'done']);
        expect(body.rows).toBeGreaterThanOrEqual(3);
        expect((await run()).body).toMatchObject({ status: 'done', rows: 0, seals: 0 });
        // The second run found nothing, and left no row.
        expect(await createUpkeepStore(database.postgres).listRuns(5)).toMatchObject([
          { job: 'seal-audit', failure: null, counts: { rows: body.rows, seals: body.seals } },
        ]);
      } finally {
        await sealing?.stop();
        await database.close();
      }
    });

    it('accept only POST', async () => {
      const { status, headers } = await call('GET', '/jobs/drain');
      expect([status, headers.get('Allow')]).toEqual([405, 'POST']);
    });
  });
}
