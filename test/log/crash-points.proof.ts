import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFolderBucket } from '../../src/assets/folder-bucket.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { createDrainStore } from '../../src/postgres/drain-store.ts';
import { looseObjects } from '../../src/postgres/schema/assets.ts';
import { createWorldStore } from '../../src/postgres/world-store.ts';
import { openTcpRedis } from '../../src/redis/tcp.ts';
import { openTcpLive, type TcpLive } from '../../src/redis/tcp-live.ts';
import { makeGlb } from '../http/glb.ts';
import { openTestPg } from '../layers.ts';
import { startTestRedis } from '../start-redis.ts';
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts';
import { Cut, type CutProcess, type Outside, openCutProcess, type When } from './cut-process.ts';
import { expectContinues, type Names, openProcess } from './open-process.ts';
import { makeSpace, type Rig } from './rig.ts';

const PASSWORD = 'a-long-password';
/** Crashes at the same time. The next reader waits up to 5 s for a dead one that was to load the world. */
const LANES = 8;

interface Context {
  process: CutProcess;
  address: LogAddress;
}

interface CrashOperation {
  /** Resolves when the operation is acknowledged. */
  run(context: Context): Promise<unknown>;
  /** The names of the objects when the operation is applied. Absent: it does not change them. */
  effect?(names: Names): Names;
  /** It changes the proxy or the folder, or drains all spaces, so only one runs at a time. */
  isAlone?: true;
  /** Another process, which nobody cuts, goes on. */
  recover?(context: Context): Promise<unknown>;
  /** Checks the parts of the world besides the names of objects. */
  check?(context: Context, isAcknowledged: boolean): Promise<void>;
}

let proxy: TcpProxy;
let outside: Outside;
let folder: string;

const put = (id: string) => ({ ops: [{ op: 'put', id, name: id }] });
const withNew = (names: Names): Names => ({ ...names, new: 'new' });
const withSaved = (names: Names): Names => ({ ...names, saved: 'saved' });

async function* lines(): AsyncGenerator<object> {
  yield { kind: 'object', id: 'saved', name: 'saved' };
  yield { kind: 'end' };
}

const streamOf = (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes]).stream();

async function upload({ process, address: { tenantId } }: Context) {
  const file = makeGlb();
  const input = { name: 'a.glb', contentType: null, bytes: file.length, sha256: null };
  return process.library.upload(tenantId, 'model', input, streamOf(file));
}

async function uploadInParts({ process, address: { tenantId } }: Context) {
  const file = makeGlb();
  const input = { name: 'a.glb', contentType: null, bytes: file.length };
  const { id } = await process.library.beginUpload(tenantId, 'model', input);
  await process.library.putPart(tenantId, 'model', { id, part: 1, bytes: file.length }, streamOf(file));
  return process.library.completeUpload(tenantId, 'model', id);
}

/** Every file of the tenant is in the bucket, and a sweep will find every object that is no file. */
async function checkFiles({ process, address: { tenantId } }: Context): Promise<string[]> {
  const { items } = await process.library.list(tenantId, 'model', {});
  for (const { id, bytes } of items) {
    const { read } = await process.library.open(tenantId, 'model', id);
    expect(await new Response(await read()).bytes()).toHaveLength(bytes ?? 0);
  }
  const [loose] = await outside.postgres.inTenant(tenantId, (db) => [
    db.select({ key: looseObjects.objectKey }).from(looseObjects),
  ]);
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.startsWith('files/'));
  expect(names.filter((name) => !loose.some(({ key }) => key === name)).length).toBe(items.length);
  return items.map(({ id }) => id);
}

const OPERATIONS: Record<string, CrashOperation> = {
  append: { run: ({ process }) => process.layer.appendOperations(put('new')), effect: withNew },
  'append with a wait': {
    run: ({ process }) => process.layer.appendOperations(put('new'), { waits: true }),
    effect: withNew,
  },
  'conditional write': {
    run: ({ process }) =>
      process.layer.saveObject({ id: 'new', name: 'new' }, { precondition: { ifExists: false } }),
    effect: withNew,
  },
  drain: { run: ({ process, address }) => process.drain.drainSpace(address, { budgetMs: 20_000 }) },
  'scheduled drain': {
    isAlone: true,
    run: ({ process }) => process.drain.sweep({ budgetMs: 20_000 }),
  },
  replace: {
    run: ({ process }) => process.layer.saveWorldState({ objects: [{ id: 'saved', name: 'saved' }] }),
    effect: () => ({ saved: 'saved' }),
  },
  import: {
    run: ({ process }) => process.layer.saveWorldStream(lines(), { mode: 'merge' }),
    effect: withSaved,
  },
  'state and snapshot': {
    async run({ process, address }) {
      await process.layer.loadWorldState();
      await process.settle();
      const known = await process.log.read(address, { after: null, token: null, bytesMax: 1, entriesMax: 1 });
      if (known.status === 'read') await process.state.renew(address, known.incarnation);
    },
  },
  message: {
    run: ({ process }) => process.layer.postMessage({ text: 'Hello', id: 'm' }),
    async check({ process }, isAcknowledged) {
      const { items } = await process.layer.listMessages();
      expect(items.length).toBeLessThanOrEqual(1);
      if (isAcknowledged) expect(items).toMatchObject([{ text: 'Hello' }]);
    },
  },
  'deleted message': {
    async run({ process }) {
      const { message } = await process.layer.postMessage({ text: 'Hello' });
      await process.layer.deleteMessage(message.id);
    },
    async check({ process }, isAcknowledged) {
      const { items } = await process.layer.listMessages();
      expect(items.length).toBeLessThanOrEqual(isAcknowledged ? 0 : 1);
    },
  },
  'first write to a space': {
    async run({ process, address }) {
      await process.layer.putSpace('second', { name: 'Second' });
      await process.layer.appendOperations(put('new'), { spaceId: 'second' });
      await process.drain.drainSpace({ ...address, spaceId: 'second' }, { budgetMs: 20_000 });
    },
    recover: ({ process }) => process.layer.putSpace('second', { name: 'Second' }),
    async check({ process }, isAcknowledged) {
      const { objects } = await process.layer.loadWorldState('second');
      expect(objects.length).toBeLessThanOrEqual(1);
      if (isAcknowledged) expect(objects).toMatchObject([{ id: 'new' }]);
    },
  },
  'settings of a space': {
    run: ({ process, address }) =>
      process.layer.putSpace(address.spaceId, { name: 'New', settings: { chat: 'editor' } }),
    async check({ process, address }, isAcknowledged) {
      const { name } = await process.layer.getSpace(address.spaceId);
      expect(['Main', 'New']).toContain(name);
      if (isAcknowledged) expect(name).toBe('New');
    },
  },
  'deletion of a space': {
    run: ({ process, address }) => process.layer.deleteSpace(address.spaceId),
    recover: ({ process, address }) => process.layer.putSpace(address.spaceId, { name: 'Again' }),
    effect: () => ({}),
  },
  'a person comes and is erased': {
    async run({ process }) {
      await process.layer.putUser({ id: 'zoe', displayName: 'Zoe' });
      await process.layer.eraseUser('zoe');
    },
    // Whatever a dead process left is found by erasing again.
    async recover({ process }) {
      await process.layer.eraseUser('zoe').catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== 'not_found') throw error;
      });
    },
    async check({ process }, isAcknowledged) {
      const name = await process.layer.getUser('zoe').then(
        ({ displayName }) => displayName,
        () => null,
      );
      expect([isAcknowledged, name]).toEqual([isAcknowledged, null]);
    },
  },
  'spill and return': {
    isAlone: true,
    async run({ process, address }) {
      proxy.inject({ kind: 'refuse' });
      await process.layer.appendOperations(put('new'));
      await endOutage();
      await process.spill.returnSpace(address);
    },
    recover: ({ process, address }) => process.spill.returnSpace(address),
    effect: withNew,
  },
  upload: {
    isAlone: true,
    run: upload,
    async check(context, isAcknowledged) {
      const files = await checkFiles(context);
      expect(files.length).toBeLessThanOrEqual(1);
      if (isAcknowledged) expect(files).toHaveLength(1);
    },
  },
  'upload in parts': {
    isAlone: true,
    run: uploadInParts,
    async check(context, isAcknowledged) {
      const files = await checkFiles(context);
      expect(files.length).toBeLessThanOrEqual(1);
      if (isAcknowledged) expect(files).toHaveLength(1);
    },
  },
  'known bytes, and an upload that is given up': {
    isAlone: true,
    async run(context) {
      const { process, address } = context;
      const { sha256, bytes } = await upload(context);
      const input = { name: 'b.glb', contentType: null };
      await process.library.upload(address.tenantId, 'model', { ...input, bytes: 0, sha256 }, null);
      const { id } = await process.library.beginUpload(address.tenantId, 'model', {
        ...input,
        bytes: bytes ?? 0,
      });
      await process.library.abortUpload(address.tenantId, 'model', id);
    },
    async check(context, isAcknowledged) {
      const { items } = await context.process.library.list(context.address.tenantId, 'model', {});
      expect(items.length).toBeLessThanOrEqual(2);
      if (isAcknowledged) expect(items).toHaveLength(2);
      expect(new Set(items.map(({ sha256 }) => sha256)).size).toBe(Math.min(1, items.length));
    },
  },
  'deletion of a file': {
    isAlone: true,
    async run(context) {
      const { id } = await upload(context);
      await context.process.library.delete(context.address.tenantId, 'model', id);
    },
    async check(context, isAcknowledged) {
      expect((await checkFiles(context)).length).toBeLessThanOrEqual(isAcknowledged ? 0 : 1);
    },
  },
};

/** Methods of the adapters that no operation above uses, by the reason why they need no cut here. */
const OTHER_METHODS: Record<string, string[]> = {
  'they change nothing': [
    ...['assets.hasFile', 'assets.listAssets'],
    ...['drain.listDeadLetters', 'drain.listIncidents', 'drain.loadAvatars', 'drain.loadDeadLetter'],
    ...['drain.loadObjects', 'world.listUsers'],
    ...['loader.loadAssets', 'loader.loadMetadata', 'loader.loadProfiles'],
    ...['log.noteDurable', 'log.readBacklog', 'log.readChanges', 'log.readNoEffects'],
    ...['log.remembersKey', 'spill.find'],
    ...['log.readStats', 'spill.listSpaces', 'world.countTenant', 'world.listMessages', 'world.listObjects'],
    ...[
      'world.listSpaces',
      'world.loadMessage',
      'world.loadObject',
      'world.loadSpace',
      'world.loadStateVersion',
    ],
    ...['world.loadStatistics', 'world.loadUser', 'world.loadWorld', 'world.ping', 'world.close'],
    ...['world.referencesAsset', 'world.streamWorld'],
    ...['world.exportPerson', 'traces.readSessionData'],
  ],
  'another adapter has the same method, which is cut': [
    ...['drain.deleteSpace', 'drain.stageWorld', 'drain.stageWorldStream'],
  ],
  'one transaction by itself: it is done completely or not at all': [
    ...['assets.addUrl', 'spill.bury', 'world.ensureTenant', 'world.updateSpace', 'world.updateUser'],
  ],
  'the next run repeats them': [
    ...['assets.doomObjects', 'drain.dropStage', 'files.removeAbandoned', 'traces.forget'],
  ],
  'test/log/poison.test.ts cuts it': ['drain.markCorrected'],
  'a replay has one key, and its claim ends by itself': [
    ...['drain.claimReplay', 'drain.discardDeadLetter', 'drain.markReplayed', 'drain.releaseReplay'],
  ],
  'test/log/old-redis.proof.ts loses entries in many ways': ['drain.noteReaderAhead', 'log.tear'],
  'they only replace what is cached': ['state.completeMetadata', 'state.endLoading', 'state.keepLarge'],
};

async function endOutage(): Promise<void> {
  proxy.clear();
  const ping = () =>
    outside.redis.ping().then(
      () => 'back',
      () => null,
    );
  await expect.poll(ping).toBe('back');
}

describe('[F10] a process that is cut at any call to a store', () => {
  const closing: (() => unknown)[] = [];
  let live: TcpLive;
  let rig: Rig;
  const methods = new Set<string>();
  const covered = new Set<string>();
  const cutMethods = new Set<string>();
  let points = 0;

  beforeAll(async () => {
    const server = await startTestRedis(PASSWORD);
    closing.push(() => server.stop());
    const port = Number(new URL(server.url).port);
    proxy = await startTcpProxy(port);
    closing.push(() => proxy.close());
    folder = await mkdtemp(join(tmpdir(), 'worldkeep-crashes-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const tcp = { host: '127.0.0.1', password: PASSWORD, timeoutMs: 10_000 };
    const [admin, redis] = [openTcpRedis({ ...tcp, port }), openTcpRedis({ ...tcp, port: proxy.port })];
    live = openTcpLive({ ...tcp, port });
    const postgres = openTestPg();
    closing.push(
      () => admin.close(),
      () => redis.close(),
      () => live.close(),
      () => postgres.close(),
    );
    outside = { redis, postgres, files: openFolderBucket(folder, 'ASSET_DIR') };
    rig = { postgres, admin, store: createDrainStore(postgres), world: createWorldStore(postgres) } as Rig;
  });
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });

  async function crash(operation: CrashOperation, n: number, when: When): Promise<Cut> {
    if (operation.isAlone) await rm(join(folder, 'files'), { recursive: true, force: true });
    const address = await makeSpace(rig);
    const stores = { redis: rig.admin, live, postgres: outside.postgres };
    const other = openProcess(stores, address);
    await other.commit('kept');
    await other.queue('queued');
    const cut = new Cut(n, when);
    const process = openCutProcess(cut, outside, address);
    const isAcknowledged = await operation.run({ process, address }).then(
      () => true,
      (error: unknown) => {
        if (!cut.isEnded) throw error;
        return false;
      },
    );
    await process.settle();
    if (operation.isAlone) await endOutage();
    const context = {
      process: openCutProcess(new Cut(Number.POSITIVE_INFINITY, 'before'), outside, address),
      address,
    };
    await operation.recover?.(context);
    const names = await expectContinues(other, { committed: [], seqs: [], name: 'later' });
    const before = { kept: 'kept', queued: 'queued' };
    const after = operation.effect?.(before) ?? before;
    expect(isAcknowledged ? [after] : [before, after]).toContainEqual(names);
    await operation.check?.(context, isAcknowledged);
    other.close();
    return cut;
  }

  it.each(Object.keys(OPERATIONS))(
    '%s: nothing is lost, doubled or half done',
    { timeout: 300_000 },
    async (name) => {
      const operation = OPERATIONS[name] as CrashOperation;
      const whole = await crash(operation, Number.POSITIVE_INFINITY, 'before');
      for (const method of whole.methods) methods.add(method);
      for (const method of whole.calls) covered.add(method);
      let [next, reached] = [0, 0];
      let hasFinished = false;
      async function runLane(): Promise<void> {
        for (;;) {
          const [n, when] = [1 + Math.floor(next / 2), next % 2 === 0 ? 'before' : 'after'] as const;
          next++;
          // A process that waits asks again and again, so a run has more calls than another.
          if (n > whole.calls.length && hasFinished) return;
          const cut = await crash(operation, n, when).catch((cause: unknown) => {
            throw new Error(`${name}, cut ${when} call ${n}`, { cause });
          });
          if (cut.isEnded) {
            reached++;
            cutMethods.add(cut.calls[n - 1] ?? '');
          } else hasFinished = true;
        }
      }
      await Promise.all(Array.from({ length: operation.isAlone ? 1 : LANES }, runLane));
      expect(reached).toBeGreaterThan(0);
      points += reached;
      console.log(`${name}: ${reached} points`);
    },
  );

  it('the operations use every method of the adapters that writes', () => {
    const others = Object.values(OTHER_METHODS).flat();
    expect([...methods].filter((method) => !covered.has(method)).sort()).toEqual(others.sort());
    expect([...covered].filter((method) => !cutMethods.has(method))).toEqual([]);
    console.log(`${points} points`);
  });
});
