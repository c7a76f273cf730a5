import { afterEach, describe, expect, it } from 'vitest';
import type { LogAddress } from '../../src/log/log-stores.ts';
import type { Seq } from '../../src/world/types.ts';
import { listIncidents } from './fold.ts';
import { expectContinues, openProcess, type Process, type Stores } from './open-process.ts';
import { makeSpace, openDrain, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();
const stores = (): Stores => ({ redis: rig.redis, postgres: rig.postgres, live: rig.live });

const processes: Process[] = [];
afterEach(() => {
  for (const process of processes.splice(0)) process.close();
});
function open(address: LogAddress): Process {
  const process = openProcess(stores(), address);
  processes.push(process);
  return process;
}

/** A space with two committed and two queued objects. A process has read its state, and a follower has a stream. */
async function makeHistory() {
  const address = await makeSpace(rig);
  const process = open(address);
  await process.commit('c1');
  await process.commit('c2');
  await process.layer.loadWorldState();
  await process.settle();
  const follower = await process.follow(null);
  const seqs: Seq[] = [await process.queue('q1', 'key-1'), await process.queue('q2', 'key-2')];
  expect(Object.keys((await process.layer.loadWorldState()).objects)).toHaveLength(4);
  await follower.has('change', (seq) => seq === seqs[1]);
  // No answer waits for some of the keys.
  await expect.poll(async () => (await listKeys(address)).map(kindOf).sort()).toEqual(KINDS);
  return { address, process, follower, seqs };
}

async function listKeys({ tenantId, spaceId }: LogAddress): Promise<string[]> {
  return ((await rig.admin.command('KEYS', `wk:{${tenantId}!${spaceId}}:*`)) as string[]).sort();
}

const KINDS = ['idem:p!key-1', 'idem:p!key-2', 'log', 'meta', 'metadata', 'snap', 'streams'];
/** The name of a key without the parts that name one space. */
const kindOf = (key: string) => key.replace(/^.*?\}:/, '').replace(/^[0-9a-f-]{36}:/, '');

describe('each key of a space, if only that key is lost', () => {
  it('a space has exactly these keys', async () => {
    const { address } = await makeHistory();
    expect((await listKeys(address)).map(kindOf).sort()).toEqual(KINDS);
  });

  it.each(KINDS)('%s: no committed write is lost, and the space continues', async (kind) => {
    const { address, process, follower, seqs } = await makeHistory();
    const [key = ''] = (await listKeys(address)).filter((one) => kindOf(one) === kind);
    expect(await rig.admin.command('DEL', key)).toBe(1);
    const isLoss = kind === 'log';
    // Read before the first drain: the state shows exactly the writes that will be committed.
    const first = Object.keys((await process.layer.loadWorldState()).objects.map(({ id }) => id));
    expect(first).toHaveLength(isLoss ? 2 : 4);
    const world = await expectContinues(process, { committed: ['c1', 'c2'], seqs, name: 'next' });
    expect(Object.keys(world)).toEqual(isLoss ? ['c1', 'c2'] : ['c1', 'c2', 'q1', 'q2']);
    const other = open(address);
    expect(await other.readAll()).toMatchObject(await process.readAll());
    const incidents = await listIncidents(rig, address);
    if (!isLoss) return expect(incidents).toEqual([]);
    expect(incidents).toEqual([{ kind: 'log_gap', detail: expect.objectContaining({ prev: seqs[1] }) }]);
    await follower.has('reset', (seq) => seq > (seqs[1] ?? 0));
    await expect(process.changes.list(address, { since: seqs[1] ?? 0 })).rejects.toMatchObject({
      code: 'trimmed',
    });
    // The key of a lost write does not count: a repeat is written again.
    expect(await process.queue('q1', 'key-1')).toBeGreaterThan(seqs[1] ?? 0);
    await process.sweep();
    expect(Object.keys((await process.readAll()).list)).toContain('q1');
  });

  it('the dirty sets: the next write adds the space again', async () => {
    const { address, process, seqs } = await makeHistory();
    for (let shard = 0; shard < 16; shard++) await rig.admin.command('DEL', `wk:dirty:${shard}`);
    await process.queue('q3');
    await process.sweep();
    expect((await process.layer.listObjects()).items).toHaveLength(5);
    const world = await expectContinues(process, { committed: ['c1', 'c2'], seqs, name: 'next' });
    expect(Object.keys(world)).toEqual(['c1', 'c2', 'q1', 'q2', 'q3']);
    expect(await listIncidents(rig, address)).toEqual([]);
  });

  it('all keys, by FLUSHALL: an incident, a reset, and seqs that rise', async () => {
    const { address, process, follower, seqs } = await makeHistory();
    await rig.admin.command('FLUSHALL');
    // Only the follower is active: nobody reads or writes.
    await follower.has('reset', (seq) => seq > (seqs[1] ?? 0));
    const world = await expectContinues(process, { committed: ['c1', 'c2'], seqs, name: 'next' });
    expect(Object.keys(world)).toEqual(['c1', 'c2']);
    expect(await listIncidents(rig, address)).toMatchObject([{ kind: 'log_lost' }]);
  });
});

/** Sets Redis back to the time when the log ended at `seq`, fully committed. `isRestarted`: it is also another run. */
async function moveBack(address: LogAddress, seq: Seq, isRestarted: boolean): Promise<void> {
  const keys = await listKeys(address);
  const keyOf = (kind: string) => keys.find((key) => kindOf(key) === kind) ?? '';
  const entries = (await rig.admin.command('XRANGE', keyOf('log'), `(${seq}-0`, '+')) as [string, string[]][];
  for (const [id] of entries) await rig.admin.command('XDEL', keyOf('log'), id);
  const at = String(seq);
  const [, fields = []] = entries[0] ?? [];
  const counts = fields[7] ?? '';
  await rig.admin.command('HDEL', keyOf('meta'), 'torn', 'why', 'missing');
  await rig.admin.command(
    ...(['HSET', keyOf('meta'), 'last', at, 'committed', at, 'oldest', ''] as const),
    ...([
      'counts',
      counts,
      'settled',
      counts,
      ...(isRestarted ? ['run', 'another', 'runAt', '0'] : []),
    ] as const),
  );
  for (const kind of ['snap', 'metadata']) await rig.admin.command('DEL', keyOf(kind));
}

describe.each([
  ['and says that it restarted', true],
  ['and does not say that it restarted', false],
])('a Redis that is older than Postgres, %s', (_, isRestarted) => {
  async function makeOlder() {
    const address = await makeSpace(rig);
    const process = open(address);
    const seqs: Seq[] = [];
    for (const id of ['a', 'b', 'c', 'd']) seqs.push((await process.commit(id)).seq);
    await process.settle();
    await moveBack(address, seqs[1] ?? 0, isRestarted);
    return { address, process, seqs, durableSeq: seqs[3] ?? 0 };
  }
  const committed = ['a', 'b', 'c', 'd'];

  it('[L8e] serves the state immediately to a new process, and one incident is written', async () => {
    const { address, seqs, durableSeq } = await makeOlder();
    const process = open(address);
    const { objects } = await process.layer.loadWorldState();
    expect(objects.map(({ id }) => id)).toEqual(committed);
    await expectContinues(process, { committed, seqs, name: 'next' });
    expect(await listIncidents(rig, address)).toEqual([{ kind: 'log_lost', detail: { durableSeq } }]);
  });

  it('[L8a] sends a reset to a reader that has seen less than Postgres has', async () => {
    const { address, seqs } = await makeOlder();
    const process = open(address);
    const follower = await process.follow({ seq: seqs[1] ?? 0, isExact: true });
    await process.layer.loadWorldState();
    await follower.has('reset', (seq) => seq > (seqs[3] ?? 0));
    await expect(process.changes.list(address, { since: seqs[2] ?? 0 })).rejects.toMatchObject({
      code: 'trimmed',
    });
  });

  it('[D5c] corrects writes that readers saw but Postgres could not store', async () => {
    const { address, seqs } = await makeOlder();
    const half = 'x'.repeat(40_000);
    const process = open(address);
    const { layer } = process;
    const patch = (properties: object) =>
      layer.appendOperations({ ops: [{ op: 'patch', id: 'a', properties }] }, { waits: true });
    await patch({ first: half });
    await patch({ second: half });
    await process.settle();
    const [letter] = (await rig.store.listDeadLetters(address.tenantId, 10, '')).letters;
    expect(letter).toMatchObject({ op: { id: 'a', properties: { second: half } } });
    await process.drain.drainSpace(address, { budgetMs: 10_000 });
    expect(await rig.store.listUncorrected(address, 10)).toEqual([]);
    await expectContinues(process, { committed, seqs, name: 'next' });
  });
});

it('[L8h] a write that is lost while its caller waits is not answered `committed`', async () => {
  const address = await makeSpace(rig);
  const process = open(address);
  const { seq } = await process.commit('a');
  const { drain: other } = openDrain(rig);
  const { spaceLog, options } = openSpaceLog(rig, {
    async run(space, run) {
      await moveBack(address, seq, true);
      return other.run(space, { ...run, own: null });
    },
  });
  const answer = spaceLog.commit({ ...address, actor: null }, [{ op: 'put', id: 'b' }], options());
  await expect(answer).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(await listIncidents(rig, address)).toMatchObject([{ kind: 'log_gap', detail: { after: seq } }]);
});

describe('a reader that is ahead of the log', () => {
  const LATER = 50_000_000;

  it('[L4] is one incident, however often it comes and whatever seq it claims, and changes nothing', async () => {
    const address = await makeSpace(rig);
    const { seq } = await open(address).commit('a');
    const claimed = seq + 1;
    const { last: before } = await readEnd(address);
    for (let i = 0; i < 3; i++) {
      const process = open(address);
      await expect(process.changes.list(address, { since: claimed + i })).rejects.toMatchObject({
        code: 'trimmed',
      });
      await (await process.follow({ seq: claimed + i, isExact: true })).has(
        'reset',
        (told) => told === before,
      );
      const version = { seq: claimed + i, rev: 1 };
      expect(await process.layer.renderWorldState({ version })).toMatchObject({
        status: 'state',
        seq: before,
      });
      await process.settle();
    }
    expect(await listIncidents(rig, address)).toEqual([
      { kind: 'reader_ahead', detail: { after: seq, seen: claimed, next: null } },
    ]);
    expect(await readEnd(address)).toMatchObject({ last: before });
  });

  it('is no incident if no append can have given that seq', async () => {
    const address = await makeSpace(rig);
    const process = open(address);
    const { seq } = await process.commit('a');
    const future = Date.now() * 1_000 + 60_000_000 + LATER;
    await expect(process.changes.list(address, { since: future })).rejects.toMatchObject({ code: 'trimmed' });
    await expect(process.changes.list(address, { since: seq - 1 })).resolves.toBeDefined();
    expect(await listIncidents(rig, address)).toEqual([]);
  });

  it('is also an incident if the log continued and no entry has the last seq of the reader', async () => {
    const address = await makeSpace(rig);
    const process = open(address);
    const first = (await process.commit('a')).seq;
    const next = (await process.commit('b')).seq;
    const other = open(address);
    const follower = await other.follow({ seq: first + 1, isExact: true });
    await follower.has('reset', (seq) => seq === next);
    await other.settle();
    expect(await listIncidents(rig, address)).toEqual([
      { kind: 'reader_ahead', detail: { after: first, seen: first + 1, next } },
    ]);
  });
});

async function readEnd(address: LogAddress): Promise<{ last: Seq | null }> {
  return rig.log.readBacklog(address);
}
