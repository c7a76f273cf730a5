import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../dev/ports.ts';
import { type RedisServer, startRedis } from '../../dev/redis.ts';
import { CACHE_DIR } from '../../dev/stack.ts';
import type { FileStore } from '../../src/library/asset-library.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import type { Postgres } from '../../src/postgres/client.ts';
import { createDrainStore } from '../../src/postgres/drain-store.ts';
import { createWorldStore } from '../../src/postgres/world-store.ts';
import type { RedisClient } from '../../src/redis/client.ts';
import { logMetaKey } from '../../src/redis/keys.ts';
import { openTcpRedis } from '../../src/redis/tcp.ts';
import { openTcpLive, type TcpLive } from '../../src/redis/tcp-live.ts';
import { AppError } from '../../src/world/errors.ts';
import type { Seq } from '../../src/world/types.ts';
import { openTestNeon } from '../layers.ts';
import { Cut, openCutProcess } from './cut-process.ts';
import { listIncidents } from './fold.ts';
import { expectContinues, openProcess, type Process } from './open-process.ts';
import { makeSpace, type Rig, wrapStore } from './rig.ts';

const PASSWORD = 'a-long-password';
/** `CUTS=20` cuts at more places. */
const CUTS = Number(process.env.CUTS ?? 6);
const MINUTES = 10 * 60_000;

describe('a Redis that comes back older', () => {
  const root = mkdtempSync(join(tmpdir(), 'worldkeep-old-redis-'));
  const dataDir = join(root, 'data');
  let port: number;
  let server: RedisServer;
  let redis: RedisClient;
  let live: TcpLive;
  let postgres: Postgres;
  let rig: Rig;
  const processes: Process[] = [];

  const start = async () => {
    server = await startRedis({
      dataDir,
      cacheDir: CACHE_DIR,
      port,
      password: PASSWORD,
      durable: false,
      logFile: join(root, 'redis.log'),
      log: () => undefined,
    });
  };
  beforeAll(async () => {
    port = await findFreePort(0);
    await start();
    const tcp = { host: '127.0.0.1', port, password: PASSWORD, timeoutMs: 10_000 };
    [redis, live, postgres] = [openTcpRedis(tcp), openTcpLive(tcp), openTestNeon()];
    const store = createDrainStore(postgres);
    rig = { postgres, store, world: createWorldStore(postgres), admin: redis } as Rig;
  });
  afterEach(() => {
    for (const process of processes.splice(0)) process.close();
  });
  afterAll(async () => {
    live.close();
    await Promise.all([redis.close(), postgres.close()]);
    await server.stop();
    rmSync(root, { recursive: true });
  });

  function open(address: LogAddress, options: { now?: () => number } = {}): Process {
    const process = openProcess({ redis, live, postgres }, address, options);
    processes.push(process);
    return process;
  }

  function findFile(): string {
    const folder = join(dataDir, 'appendonlydir');
    const names = readdirSync(folder).filter((name) => name.endsWith('.incr.aof'));
    return join(folder, names.sort().at(-1) ?? '');
  }

  /** Cuts the power of Redis, changes its files with `change`, and starts it again. */
  async function restart(change: () => void | Promise<void>): Promise<void> {
    await server.kill();
    await change();
    await start();
    await expect
      .poll(
        () =>
          redis.ping().then(
            () => true,
            () => false,
          ),
        { timeout: 10_000 },
      )
      .toBe(true);
  }

  const cursorOf = async (address: LogAddress) => (await rig.store.loadCursor(address))?.cursor ?? 0;

  /** The writes, each with the size of the file that is needed to keep it. */
  interface History {
    address: LogAddress;
    process: Process;
    writes: { id: string; seq: Seq; bytes: number; isCommitted: boolean }[];
    from: number;
    to: number;
  }

  /** Makes a history of committed and queued writes. The last queued ones stay pending. */
  async function makeHistory(write: (i: number) => 'commit' | 'queue'): Promise<History> {
    const address = await makeSpace(rig);
    const process = open(address);
    const writes: History['writes'] = [];
    const note = (id: string, seq: Seq) =>
      writes.push({ id, seq, bytes: statSync(findFile()).size, isCommitted: false });
    note('base', (await process.commit('base')).seq);
    const from = statSync(findFile()).size;
    for (let i = 0; i < 8; i++) {
      const id = `w${i}`;
      note(id, write(i) === 'queue' ? await process.queue(id) : (await process.commit(id)).seq);
      if (i === 4) await process.layer.loadWorldState();
    }
    await process.settle();
    const cursor = await cursorOf(address);
    for (const one of writes) one.isCommitted = one.seq <= cursor;
    return { address, process, writes, from, to: statSync(findFile()).size };
  }

  /** Checks the space after the restart. `kept`: the bytes that are left of the file. */
  async function expectTold(
    { address, writes }: History,
    process: Process,
    kept: number,
    follow: () => Promise<{ has(event: 'reset'): Promise<void> }>,
  ): Promise<void> {
    const last = Number(await redis.command('HGET', logMetaKey(address), 'last'));
    const isHurt = last < (writes.at(-1)?.seq ?? 0);
    const follower = await follow();
    const ids = (isIt: (write: History['writes'][number]) => boolean) =>
      writes.filter(isIt).map(({ id }) => id);
    // A state is served immediately, with all committed writes.
    const { objects } = await process.layer.loadWorldState();
    const committed = ids(({ isCommitted }) => isCommitted);
    expect(objects.map(({ id }) => id)).toEqual(expect.arrayContaining(committed));
    if (isHurt) await follower.has('reset');
    await process.settle();
    const world = await expectContinues(process, {
      committed,
      name: 'next',
      seqs: writes.map(({ seq }) => seq),
    });
    const lost = ids(({ id }) => !(id in world));
    // Only pending writes in the missing part of the file may be lost.
    expect(ids(({ isCommitted, bytes }) => !isCommitted && bytes > kept)).toEqual(
      expect.arrayContaining(lost),
    );
    const incidents = await listIncidents(rig, address);
    if (isHurt) expect(incidents.length).toBeGreaterThan(0);
    if (lost.length > 0)
      expect(incidents.map(({ kind }) => kind)).toEqual(
        expect.arrayContaining([expect.stringMatching(/log_gap|log_lost|reader_ahead|redis_restarted/)]),
      );
  }

  const patterns = {
    'all committed': () => 'commit' as const,
    'the last ones waiting': (i: number) => (i < 4 ? ('commit' as const) : ('queue' as const)),
  };
  const cuts = Array.from({ length: CUTS }, (_, i) => i);

  describe.each(Object.entries(patterns))('its file truncated, %s', (_, pattern) => {
    it.each(cuts)(
      `to %i of ${CUTS} parts: a process that still runs notices`,
      async (cut) => {
        const history = await makeHistory(pattern);
        const { process, from, to } = history;
        const follower = await process.follow(null);
        const kept = from + Math.floor(((to - from) * cut) / CUTS);
        await restart(() => truncateSync(findFile(), kept));
        await expectTold(history, process, kept, async () => follower);
      },
      MINUTES,
    );

    it.each(cuts)(
      `to %i of ${CUTS} parts: all processes are new, and a reader notices`,
      async (cut) => {
        const history = await makeHistory(pattern);
        const { address, writes, from, to } = history;
        const kept = from + Math.floor(((to - from) * cut) / CUTS);
        await restart(() => truncateSync(findFile(), kept));
        const process = open(address);
        await expectTold(history, process, kept, () =>
          process.follow({ seq: writes.at(-1)?.seq ?? 0, isExact: true }),
        );
      },
      MINUTES,
    );
  });

  it.each(Object.entries(patterns))(
    'restored from a backup that is half a minute old, under the same name, %s',
    async (_, pattern) => {
      const address = await makeSpace(rig);
      const before = open(address);
      await before.commit('base');
      await before.layer.loadWorldState();
      await before.settle();
      const backup = mkdtempSync(join(root, 'backup-'));
      cpSync(dataDir, backup, { recursive: true });
      const seqs: Seq[] = [];
      const committed = ['base'];
      for (let i = 0; i < 8; i++) {
        if (pattern(i) === 'queue') seqs.push(await before.queue(`w${i}`));
        else {
          seqs.push((await before.commit(`w${i}`)).seq);
          committed.push(`w${i}`);
        }
      }
      await before.layer.loadWorldState();
      const name = await redis.command('GET', 'wk:instance');
      await restart(() => {
        rmSync(dataDir, { recursive: true });
        cpSync(backup, dataDir, { recursive: true });
      });
      expect(await redis.command('GET', 'wk:instance')).toBe(name);
      // The processes believe that it is half a minute later.
      const now = () => Date.now() + 30_000;
      const after = open(address, { now });
      const follower = await after.follow({ seq: seqs.at(-1) ?? 0, isExact: true });
      await follower.has('reset');
      const { objects } = await after.layer.loadWorldState();
      expect(objects.map(({ id }) => id)).toEqual(committed);
      const world = await expectContinues(after, { committed, seqs, name: 'next' });
      expect(Object.keys(world)).toEqual(committed);
      expect((await listIncidents(rig, address)).length).toBeGreaterThan(0);
    },
    MINUTES,
  );

  it.each(cuts)(
    `its file truncated to %i of ${CUTS} parts while requests wait in Postgres and in memory: each returns once`,
    async (cut) => {
      const history = await makeHistory(patterns['the last ones waiting']);
      const { address, writes, from, to } = history;
      let isPostgresAway = false;
      const sometimes = wrapStore(postgres, (_, call) => {
        if (!isPostgresAway) return call();
        throw new AppError('store_unavailable', 'Postgres is away.', { outage: 'unsent' });
      });
      const outside = { redis, postgres: sometimes, files: {} as FileStore };
      const spilling = openCutProcess(new Cut(Number.POSITIVE_INFINITY, 'before'), outside, address);
      // Memory serves only spaces whose log the process has used.
      await spilling.layer.loadWorldState();
      const put = async (id: string) =>
        (await spilling.layer.appendOperations({ ops: [{ op: 'put', id, name: id }] })).status;
      await restart(async () => {
        expect(await Promise.all(['s0', 's1', 's2'].map(put))).toEqual(['spilled', 'spilled', 'spilled']);
        const { durability } = await spilling.layer.postMessage({ text: 'spilled' }, { waits: false });
        expect(durability).toBe('spilled');
        isPostgresAway = true;
        expect([await put('m0'), await put('m1')]).toEqual(['memory', 'memory']);
        isPostgresAway = false;
        truncateSync(findFile(), from + Math.floor(((to - from) * cut) / CUTS));
      });
      await spilling.memory.end();
      expect(spilling.memory.size).toBe(0);
      expect(await spilling.spill.returnSpace(address)).toEqual({ returned: 6, buried: 0, isLeft: false });
      const committed = writes.filter(({ isCommitted }) => isCommitted).map(({ id }) => id);
      await expectContinues(open(address), {
        committed: [...committed, 's0', 's1', 's2', 'm0', 'm1'],
        seqs: writes.map(({ seq }) => seq),
        name: 'next',
      });
      const { items } = await spilling.layer.listMessages();
      expect(items.map(({ text }) => text)).toEqual(['spilled']);
    },
    MINUTES,
  );

  it('whose file was truncated just before a read, without a write, is a separate incident', async () => {
    const history = await makeHistory(() => 'commit');
    const { address, writes } = history;
    const kept = writes[2]?.bytes ?? 0;
    await restart(() => truncateSync(findFile(), kept));
    const process = open(address);
    const { objects } = await process.layer.loadWorldState();
    expect(objects).toHaveLength(writes.length);
    expect(await listIncidents(rig, address)).toMatchObject([
      { kind: 'log_lost', detail: { durableSeq: writes.at(-1)?.seq } },
    ]);
  });
});
