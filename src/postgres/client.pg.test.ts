import { type SQL, sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNeonEmulator } from '../../dev/emulators/neon.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { startTcpProxy, type TcpFault } from '../../test/tcp-proxy.ts';
import { LIMITS } from '../world/limits.ts';
import type { Postgres, TransactionMode } from './client.ts';
import { openNeon } from './neon.ts';
import { openPg } from './pg.ts';

/** A way to the real Postgres that can be closed. */
interface Way {
  open(timeoutMs?: number): Postgres;
  inject(fault: TcpFault): void;
  clear(): void;
  close(): Promise<void>;
}

const HANG_MS = 300_000;
const AWAY = { code: 'store_unavailable' };

async function openHttpWay(): Promise<Way> {
  const { databaseUrl } = stack();
  const emulator = await startNeonEmulator({ postgresPort: Number(new URL(databaseUrl).port), port: 0 });
  return {
    open: (timeoutMs = 10_000) => openNeon({ databaseUrl, fetchEndpoint: emulator.sqlUrl, timeoutMs }),
    inject(fault) {
      if (fault.kind === 'hang') emulator.faults.inject({ kind: 'latency', latencyMs: HANG_MS });
      else emulator.faults.inject(fault.kind === 'refuse' ? fault : { ...fault, times: 1 });
    },
    clear: () => emulator.faults.clear(),
    close: () => emulator.close(),
  };
}

async function openTcpWay(): Promise<Way> {
  const url = new URL(stack().databaseUrl);
  const proxy = await startTcpProxy(Number(url.port));
  url.port = String(proxy.port);
  return {
    ...proxy,
    // One connection: if it is lost or comes back unusable, the next caller notices.
    open: (timeoutMs = 10_000) => openPg({ databaseUrl: url.href, poolSizeMax: 1, timeoutMs }),
  };
}

/** Runs statements as one transaction. @returns the rows of the last. */
async function run(
  postgres: Postgres,
  tenantId: string,
  statements: SQL[],
  mode?: TransactionMode,
): Promise<unknown[]> {
  const results = await postgres.inTenant(
    tenantId,
    (db) => statements.map((statement) => db.execute(statement)),
    mode,
  );
  return (results.at(-1) as { rows: unknown[] }).rows;
}

describe.each([
  ['Neon over HTTP', openHttpWay],
  ['pg over TCP', openTcpWay],
])('Postgres, %s', (_, openWay) => {
  let way: Way;
  const opened: Postgres[] = [];
  const open = (timeoutMs?: number) => {
    const postgres = way.open(timeoutMs);
    opened.push(postgres);
    return postgres;
  };
  beforeAll(async () => {
    way = await openWay();
  });
  afterAll(async () => {
    await Promise.all(opened.map((postgres) => postgres.close()));
    await way?.close();
  });

  const readTenant = async (postgres: Postgres, tenantId: string) => {
    const [row] = await run(postgres, tenantId, [sql`select current_setting('app.tenant_id') as tenant`]);
    return (row as { tenant: string }).tenant;
  };
  const insertTenant = (tenantId: string) => sql`insert into tenants (tenant_id) values (${tenantId})`;
  const selectTenant = (tenantId: string) => sql`select tenant_id from tenants where tenant_id = ${tenantId}`;

  it('runs every transaction as the tenant it is of, and as no one after', async () => {
    const postgres = open();
    const tenants = [uniqueName('t'), "o'neill", uniqueName('t')];
    for (const tenantId of tenants) expect(await readTenant(postgres, tenantId)).toBe(tenantId);
    expect(await Promise.all(tenants.map((tenantId) => readTenant(postgres, tenantId)))).toEqual(tenants);
  });

  it('reads one moment, and writes nothing, in a snapshot', async () => {
    const postgres = open();
    const describeMode = sql`select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as "readOnly"`;
    expect(await run(postgres, 't', [describeMode], 'snapshot')).toEqual([
      { isolation: 'repeatable read', readOnly: 'on' },
    ]);
    expect(await run(postgres, 't', [describeMode])).toEqual([
      { isolation: 'read committed', readOnly: 'off' },
    ]);
  });

  it('does all or nothing, and serves the next after a failure', async () => {
    const postgres = open();
    const tenantId = uniqueName('t');
    const failing = run(postgres, tenantId, [insertTenant(tenantId), sql`select 1 / 0`]);
    await expect(failing).rejects.toMatchObject({ code: 'validation_failed' });
    expect(await run(postgres, tenantId, [selectTenant(tenantId)])).toEqual([]);
    await run(postgres, tenantId, [insertTenant(tenantId)]);
    expect(await run(postgres, tenantId, [selectTenant(tenantId)])).toHaveLength(1);
  });

  it('is unavailable while it cannot be reached, however often it is asked, and serves again after', async () => {
    const postgres = open();
    expect(await readTenant(postgres, 'before')).toBe('before');
    way.inject({ kind: 'refuse' });
    try {
      for (let i = 0; i < 5; i++) {
        await expect(readTenant(postgres, 't')).rejects.toMatchObject(AWAY);
        await expect(postgres.ping()).rejects.toMatchObject(AWAY);
      }
    } finally {
      way.clear();
    }
    expect(await readTenant(postgres, 'after')).toBe('after');
  });

  it('is unavailable where it hangs, and serves again after', async () => {
    const postgres = open(300);
    expect(await readTenant(postgres, 'before')).toBe('before');
    way.inject({ kind: 'hang' });
    try {
      await expect(readTenant(postgres, 't')).rejects.toMatchObject(AWAY);
      await expect(readTenant(postgres, 't')).rejects.toMatchObject(AWAY);
    } finally {
      way.clear();
    }
    await expect.poll(() => readTenant(postgres, 'after')).toBe('after');
  });

  it('is unavailable where the connection is cut in the middle of a transaction, which then never was', async () => {
    const postgres = open();
    const tenantId = uniqueName('t');
    way.inject({ kind: 'drop-reply', match: 'no_answer' });
    const cut = run(postgres, tenantId, [
      insertTenant(tenantId),
      sql`select 1 / (random() < 0)::int as no_answer`,
    ]);
    await expect(cut).rejects.toMatchObject(AWAY);
    expect(await run(postgres, tenantId, [selectTenant(tenantId)])).toEqual([]);
  });

  it('waits no longer for a lock than it is told', async () => {
    const [holder, waiter] = [open(), open(500)];
    const tenantId = uniqueName('t');
    await run(holder, tenantId, [insertTenant(tenantId)]);
    const lock = sql`${selectTenant(tenantId)} for update`;
    const held = run(holder, tenantId, [lock, sql`select pg_sleep(2)`]);
    const readCode = () =>
      run(waiter, tenantId, [lock]).then(
        () => 'free',
        (error) => error.code,
      );
    await expect.poll(readCode).toBe('store_unavailable');
    await held;
    expect(await readCode()).toBe('free');
  });
});

it('[F8d] refuses a transaction over TCP while too many wait for a connection', async () => {
  const way = await openTcpWay();
  const postgres = way.open(2_000);
  try {
    way.inject({ kind: 'hang' });
    const ask = () => run(postgres, 't', [sql`select 1`]).catch((error: unknown) => error);
    const asked = Array.from({ length: LIMITS.postgresWaitingMax + 1 }, ask);
    expect(await ask()).toMatchObject({ ...AWAY, message: 'Too many requests wait for Postgres.' });
    way.clear();
    await Promise.all(asked);
    await expect.poll(ask).toEqual([{ '?column?': 1 }]);
  } finally {
    await postgres.close();
    await way.close();
  }
});
