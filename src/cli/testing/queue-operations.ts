import { expect } from 'vitest';
import { stack, uniqueName } from '../../../test/support.ts';
import type { LogStore } from '../../log/log-stores.ts';
import { createDrainStore } from '../../postgres/drain-store.ts';
import { openPg } from '../../postgres/pg.ts';
import type { Operation } from '../../world/operation.ts';
import type { Workplace } from './workplace.ts';

/** A space of the tenant with these operations in its log, and none of them in the database. @returns its id */
export async function queueOperations(
  at: Workplace,
  log: LogStore,
  operations: Operation[],
): Promise<string> {
  const spaceId = uniqueName('space');
  expect((await at.request(`/spaces/${spaceId}`, 'PUT', { name: 'Here' })).status).toBe(201);
  const address = { tenantId: at.tenant, spaceId };
  const postgres = openPg({ databaseUrl: stack().databaseUrl, poolSizeMax: 1, timeoutMs: 5_000 });
  const instance = await log.readInstance();
  const opened = await createDrainStore(postgres).openLog(address, { instance, isLogAbsent: true });
  await postgres.close();
  const unbounded = { bytesMax: 2 ** 40, entriesMax: 2 ** 40, ageMsMax: 2 ** 40 };
  const outcome = await log.append(address, {
    actor: null,
    waits: false,
    idempotency: null,
    budget: null,
    backlog: unbounded,
    opened,
    entries: operations.map((operation) => ({ ops: JSON.stringify([operation]), count: 1 })),
  });
  expect(outcome.status).toBe('appended');
  return spaceId;
}
