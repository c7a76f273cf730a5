import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addAuditRows, eraseAuditRows, waitForTransactions } from '../../../test/audit-rows.ts';
import { type OwnDatabase, openOwnDatabase } from '../../../test/own-database.ts';
import { createSealStore } from '../../postgres/audit-seal-store.ts';
import { runHere } from '../testing/run-here.ts';

let database: OwnDatabase;
let folder: string;
let env: Record<string, string>;
let ids: number[];
beforeAll(async () => {
  [database, folder] = await Promise.all([openOwnDatabase(), mkdtemp(join(tmpdir(), 'worldkeep-verify-'))]);
  env = { DATABASE_URL: database.url };
  ids = await addAuditRows(database.admin, 'acme', { count: 4, day: '2026-02-01' });
  await addAuditRows(database.admin, 'other', { day: '2026-02-02' });
  await waitForTransactions(database.admin);
  await createSealStore(database.postgres).sealAudit(100);
});
afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

const run = (...args: string[]) => runHere(['audit', 'verify', ...args], { env });
const HASH = '[0-9a-f]{64}';

it('[Q5] reports each tenant, its head and its rows without a seal', async () => {
  await eraseAuditRows(database.admin, ids.slice(0, 2), { actor: false });
  await eraseAuditRows(database.admin, ids.slice(0, 1), { content: false });
  await addAuditRows(database.admin, 'acme', { day: '2026-02-03' });
  const { code, stdout, stderr } = await run();
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(
    new RegExp(
      [
        [
          '^acme: 5 rows of 2026-02-01 to 2026-02-03 in 1 seal',
          '2 contents and 1 actor erased',
          '1 row not sealed yet, the oldest of 2026-02-03T12:00:00.000Z',
        ].join('; '),
        `  head ${HASH} \\(seal 1\\)`,
        'other: 1 row of 2026-02-02 in 1 seal',
        `  head ${HASH} \\(seal 1\\)`,
        'intact: 2 tenants; the oldest day that is kept is 2026-02-01\n$',
      ].join('\n'),
    ),
  );
});

it('[Q6b] compares the chains with heads that were kept', async () => {
  const kept = await run('--json');
  const file = join(folder, 'heads.json');
  await writeFile(file, kept.stdout);
  const report = JSON.parse(kept.stdout);
  expect(report).toMatchObject({ intact: true, tenants: [{ tenantId: 'acme' }, { tenantId: 'other' }] });
  expect((await run('--heads', file)).code).toBe(0);
  const { hash } = report.tenants[0].head;
  expect((await run('--tenant', 'acme', '--head', hash)).code).toBe(0);
  const foreign = await run('--tenant', 'other', '--head', hash);
  expect([foreign.code, foreign.stdout]).toEqual([
    1,
    expect.stringContaining('WRONG the chain does not contain the head that was kept'),
  ]);
  report.tenants.push({ tenantId: 'gone', head: { number: 7, hash } });
  await writeFile(file, JSON.stringify(report));
  const lost = await run('--heads', file);
  expect([lost.code, lost.stdout]).toEqual([1, expect.stringContaining('NOT INTACT: gone\n')]);
  expect((await run('--heads', file, '--tenant', 'acme')).code).toBe(0);
});

it('does not call a tenant intact that has no rows and no seals', async () => {
  const { code, stdout, stderr } = await run('--tenant', 'acmee');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('the audit has no rows and no seals of the tenant acmee');
  const lost = await run('--tenant', 'acmee', '--head', '0'.repeat(64));
  expect([lost.code, lost.stdout]).toEqual([1, expect.stringContaining('NOT INTACT: acmee\n')]);
});

it('[Q5a] exits with 1, and names the changed, removed and added rows', async () => {
  const { admin } = database;
  await admin.query(`update audit_entries set actor = 'bob' where audit_id = any ($1)`, [ids.slice(2, 3)]);
  await admin.query('delete from audit_entries where audit_id = $1', [ids[3]]);
  const [added] = await addAuditRows(admin, 'acme', { day: '2026-02-01', xid: 3 });
  const { code, stdout } = await run('--tenant', 'acme', '--to', '2026-02-01');
  expect(code).toBe(1);
  expect(stdout.split('\n').slice(1, 4).toSorted()).toEqual(
    [
      `  WRONG row ${ids[2]} of 2026-02-01 was changed after seal 1`,
      `  WRONG row ${ids[3]} of 2026-02-01 was removed: seal 1 names it`,
      `  WRONG row ${added} of 2026-02-01 was added later: no seal names it, although its time has been sealed`,
    ].toSorted(),
  );
  expect(stdout).toMatch(/NOT INTACT: acme\n$/);
  const json = await run('--tenant', 'acme', '--json');
  expect([json.code, JSON.parse(json.stdout)]).toMatchObject([1, { intact: false }]);
  expect(JSON.parse(json.stdout).tenants[0].problems).toContainEqual({
    kind: 'row_altered',
    count: 1,
    day: '2026-02-01',
    auditId: ids[2],
    seal: 1,
  });
});

it('says in one sentence what is wrong with its arguments', async () => {
  const explain = async (...args: string[]) => {
    const { code, stderr } = await run(...args);
    return [code, stderr.split('\n')[0]];
  };
  const refused = (text: string) => [2, expect.stringContaining(text)];
  expect(await explain('--tenant', 'a b')).toEqual(refused('--tenant '));
  expect(await explain('--from', '2026-02-30')).toEqual(refused('--from must be a day such as 2026-11-28'));
  expect(await explain('--from', '2026-02-02', '--to', '2026-02-01')).toEqual(
    refused('--from must not be after'),
  );
  expect(await explain('--head', 'ab')).toEqual(refused('--head needs --tenant'));
  expect(await explain('--head', 'ab', '--tenant', 'acme')).toEqual(refused('64 hexadecimal digits'));
  expect(await explain('--heads', join(folder, 'none.json'))).toEqual(refused('cannot be read: ENOENT'));
  const file = join(folder, 'text.json');
  await writeFile(file, '{"tenants": 1}');
  expect(await explain('--heads', file)).toEqual(refused('is not the output of audit verify --json'));
  const away = await runHere(['audit', 'verify'], {
    env: { DATABASE_URL: 'postgresql://me:hush@127.0.0.1:9/db' },
  });
  expect([away.code, away.stderr]).toEqual([1, expect.stringContaining('cannot be reached')]);
});
