import pg from 'pg';
import { expect } from 'vitest';
import type { LogAddress } from '../src/log/log-stores.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import type { Batch, BatchOutcome } from '../src/world/batch.ts';
import type { Seq } from '../src/world/types.ts';
import { stack, uniqueName } from './support.ts';

/** A space of a new tenant, with the data that a drain has of it. */
export async function makeLogSpace(postgres: Postgres) {
  const store = createDrainStore(postgres);
  const world = createWorldStore(postgres);
  const address: LogAddress = { tenantId: uniqueName('t'), spaceId: 'main' };
  await world.ensureTenant(address.tenantId);
  await world.putSpace(address.tenantId, address.spaceId, { name: 'Main' });
  const opened = await store.openLog(address, { instance: 'first', isLogAbsent: false });
  if (opened === null) throw new Error('the space does not exist');
  const { incarnation } = opened;
  let at = opened.cursor;

  /** Builds a batch after the cursor that the test knows. */
  function toBatch(parts: Partial<Batch> = {}): Batch {
    return {
      incarnation,
      from: at,
      to: at + 100,
      objects: [],
      avatars: [],
      singles: [],
      results: [],
      incidents: [],
      ...parts,
    };
  }

  return {
    store,
    world,
    address,
    incarnation,
    toBatch,
    get cursor(): Seq {
      return at;
    },
    set cursor(seq: Seq) {
      at = seq;
    },
    /** Applies a batch, and fails if it is not applied. */
    async apply(parts: Partial<Batch>): Promise<Extract<BatchOutcome, { status: 'applied' }>> {
      const batch = toBatch(parts);
      const outcome = await store.applyBatch(address, batch);
      expect(outcome.status).toBe('applied');
      at = batch.to;
      return outcome as Extract<BatchOutcome, { status: 'applied' }>;
    },
    async loadObject(id: string) {
      return (await store.loadObjects(address, [id]))[0];
    },
  };
}

/** Runs a query with the runtime role, as the tenant of the space. */
export async function queryAs(
  { address }: { address: LogAddress },
  sql: string,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  await client.connect();
  try {
    await client.query("select set_config('app.tenant_id', $1, false)", [address.tenantId]);
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** An object as in a put. */
export function makeInput(id: string) {
  return {
    id,
    name: null,
    modelId: null,
    parentId: null,
    properties: {},
    position: { x: 0, y: 0, z: 0 },
    rotation: { x: 0, y: 0, z: 0, w: 1 },
    scale: { x: 1, y: 1, z: 1 },
  };
}
