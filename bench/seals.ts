#!/usr/bin/env node
/**
 * `npm run bench:seals`: a million audit rows, their seals and their verification. It prints the rows per second of both, and the
 * bytes of rows, seals and the index of the job. It also prints how many transactions a second a writer has, without and with the job. Then it
 * prints the output of `worldkeep audit verify` after an erasure, a changed byte and a removed row.
 */
import { spawnSync } from 'node:child_process';
import { cpus, hostname, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { ANY_PORTS, makeTemporaryDir, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import { createSealStore } from '../src/postgres/audit-seal-store.ts';
import { openPg } from '../src/postgres/pg.ts';
import { LIMITS } from '../src/world/limits.ts';
import { addAuditRows, eraseAuditRows } from '../test/audit-rows.ts';
import { measureCpu, readParentPid } from './harness/processes.ts';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    tenants: { type: 'string', default: '4' },
    days: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '10' },
  },
});
const [rows, tenants, days, seconds] = [options.rows, options.tenants, options.days, options.seconds].map(
  Number,
) as [number, number, number, number];
/** Rows of one filling transaction. */
const TRANSACTION_ROWS = 1_000;
/** Rows of one transaction of the writer, as a batch of a world has. */
const BATCH_ROWS = 10;

const stack = await startStack({
  dir: await makeTemporaryDir(),
  ephemeral: true,
  ports: ANY_PORTS,
  log: (line) => process.stderr.write(`${line}\n`),
});
const { migrationUrl, databaseUrl, superuserUrl } = stack.values;
await migrate({ migrationUrl, appUrl: databaseUrl });
const postgres = openPg({ databaseUrl, poolSizeMax: 1, timeoutMs: 60_000 });
const { sealAudit } = createSealStore(postgres);
const admin = new pg.Client({
  connectionString: Object.assign(new URL(superuserUrl), { pathname: new URL(databaseUrl).pathname }).href,
});
try {
  await admin.connect();
  const machine = `${hostname()}: ${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`;
  console.log(machine);

  const turns = [];
  for (let i = 0; i < 3; i++)
    turns.push({ alone: await measureWriter(), 'with a seal each second': await measureWithSeals() });
  console.table(turns);

  process.stderr.write(`fills ${rows} rows of ${tenants} tenants over ${days} days\n`);
  await fill();
  console.table({ seal: await measure(sealAll), verify: await measure(async () => verify()) });
  const { rows: sizes } = await admin.query(
    `select pg_size_pretty(sum(pg_table_size(i.inhrelid))) as rows,
      pg_size_pretty((select sum(pg_relation_size(x.inhrelid)) from pg_inherits x where x.inhparent = 'audit_unsealed'::regclass))
        as "index of the job",
      pg_size_pretty(pg_total_relation_size('audit_seals')) as seals
    from pg_inherits i where i.inhparent = 'audit_entries'::regclass`,
  );
  console.table(sizes);

  const pick = async (offset: number) => {
    const { rows: found } = await admin.query<{ id: string }>(
      `select audit_id as id from audit_entries where tenant_id = 'bench1' order by audit_id offset $1 limit 1`,
      [offset],
    );
    return Number(found[0]?.id);
  };
  await eraseAuditRows(admin, [await pick(10), await pick(11), await pick(12)]);
  verify('after the erasure of a person with three rows');
  const kept = [await pick(20), await pick(30)];
  await admin.query(`update audit_entries set new = '{"x": 999}' where audit_id = $1`, [kept[0]]);
  verify('after a change of one row');
  await admin.query('delete from audit_entries where audit_id = $1', [kept[1]]);
  verify('after the removal of another row');
} finally {
  await Promise.all([postgres.close(), admin.end()]);
  await stack.stop();
}

async function fill(): Promise<void> {
  const first = Date.UTC(2026, 0, 1);
  for (let i = 0; i < rows / TRANSACTION_ROWS; i++) {
    const day = new Date(first + (i % days) * 86_400_000).toISOString().slice(0, 10);
    const tenantId = `bench${Math.floor(i / days) % tenants}`;
    await addAuditRows(admin, tenantId, { count: TRANSACTION_ROWS, day });
  }
  await admin.query('vacuum analyze');
}

async function measureWithSeals(): Promise<number> {
  let goesOn = true;
  const sealing = (async () => {
    while (goesOn) {
      await sealAudit(LIMITS.auditSealRows);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  })();
  const perSecond = await measureWriter();
  goesOn = false;
  await sealing;
  return perSecond;
}

/** @returns transactions a second */
async function measureWriter(): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  const startedMs = performance.now();
  let count = 0;
  for (; performance.now() < endMs; count++) await addAuditRows(admin, 'writer', { count: BATCH_ROWS });
  return Math.round(count / ((performance.now() - startedMs) / 1_000));
}

async function sealAll(): Promise<void> {
  while ((await sealAudit(LIMITS.auditSealRows)).rows > 0);
}

/** The CPU time does not depend on what else runs on the machine. */
async function measure(work: () => Promise<unknown>) {
  const { rows: found } = await admin.query<{ pid: number }>('select pg_backend_pid() as pid');
  const postmaster = readParentPid(found[0]?.pid ?? 0);
  const startedMs = performance.now();
  const { seconds: cpu } = await measureCpu({ postgres: postmaster }, work);
  const took = (performance.now() - startedMs) / 1_000;
  const cpuSeconds = cpu.postgres ?? 0;
  return {
    seconds: Number(took.toFixed(1)),
    'CPU seconds of Postgres': Number(cpuSeconds.toFixed(1)),
    'µs of CPU a row': Math.round((cpuSeconds * 1_000_000) / rows),
  };
}

/** Runs the command in a process of its own. @param title printed with its output */
function verify(title?: string): void {
  const cli = join(import.meta.dirname, '../src/cli/worldkeep.ts');
  const { stdout, stderr, status } = spawnSync(process.execPath, [cli, 'audit', 'verify'], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    encoding: 'utf8',
  });
  if (title !== undefined) console.log(`\n${title} (exit code ${status}):\n${stdout}${stderr}`);
  else if (status !== 0) throw new Error(`The audit is not intact: ${stdout}${stderr}`);
}
