import { describe, expect, it } from 'vitest';
import { useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import type {
  KeptWorld,
  Marks,
  SpaceMetadata,
  StateReply,
  StateRequest,
  StateStore,
} from '../state/state-stores.ts';
import { createStateStore, type SnapshotOptions } from './snapshot.ts';

const MARKS: Marks = { version: '0', epoch: '0', pendingUntil: '0', isErasing: false };
const REQUEST: StateRequest = {
  held: null,
  metadataId: null,
  version: null,
  atLeast: 0,
  hits: 0,
  misses: 0,
  token: 'reader',
};

function makeWorld(seq: number, name: string): KeptWorld {
  const object = JSON.stringify({ id: 'a', name, properties: { text: 'ü𝄞\u2028"\\' } });
  const avatar = {
    id: '__proto__',
    position: { x: 1, y: 2, z: 3 },
    rotation: { x: 0, y: 0, z: 0, w: 1 },
    properties: { a: [1] },
    seq,
  };
  const objects = new Map([
    ['a', object],
    ['b', '{"id":"b","name":null}'],
  ]);
  const message = { id: 'm', userId: 'mia', text: 'hi\n', kind: 'text', seq, createdAt: '', sentMicros: seq };
  const chat = { messages: [message], hasOlder: true };
  return { seq, loadedMs: 7, objects, avatars: new Map([[avatar.id, avatar]]), chat };
}

const METADATA: SpaceMetadata = {
  rev: 3,
  seq: 1_000,
  present: new Set(['__proto__']),
  space: {
    id: 'main',
    name: 'Main',
    description: null,
    settings: {},
    bounds: null,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
  },
  profiles: new Map([
    ['constructor', { displayName: 'C', avatarUrl: null }],
    ['gone', null],
  ]),
  saved: { models: new Set(['m']), media: new Set() },
  assets: { models: new Map([['m', null]]), media: new Map() },
};

describe.each(REDIS_WAYS)('what is kept of states, over %s', (_, openWay) => {
  const { redis, openSpace } = useLogs(openWay);

  async function open(options: Partial<SnapshotOptions> = {}) {
    const space = await openSpace();
    const store = createStateStore(redis(), options);
    const { address } = space;
    const { incarnation } = space.opened;
    const read = (request: Partial<StateRequest> = {}) => store.read(address, { ...REQUEST, ...request });
    const keep = async (world: KeptWorld, marks = MARKS, isRenewed = false) => {
      await store.keepMetadata(address, incarnation, { metadata: METADATA, marks });
      return store.keepWorld(address, incarnation, { world, marks, token: null, isRenewed });
    };
    return { space, store, address, incarnation, read, keep };
  }

  async function expectState(reply: Promise<StateReply>) {
    const found = await reply;
    if (found.status !== 'state') throw new Error(`it is ${found.status}`);
    return found;
  }

  const nameOf = ({ snapshot }: { snapshot: KeptWorld | null }): string =>
    JSON.parse(snapshot?.objects.get('a') ?? '{}').name;

  it('come back as they were, in however many parts, with the log behind them', async () => {
    const { space, keep, read, incarnation } = await open({ partCharactersMax: 16 });
    const world = makeWorld(1_000, 'first');
    expect(await keep(world)).toBe(true);
    const { seq } = await space.add();
    const state = await expectState(read());
    expect(state.snapshot).toEqual(world);
    expect(state.metadata.kept).toEqual(METADATA);
    expect(state.entries).toMatchObject([{ seq, prev: 1_000, ops: '[{"op":"delete","id":"a"}]' }]);
    expect(state).toMatchObject({ last: seq, committed: 1_000, behind: { operations: 1, bytes: 26 } });
    const held = { held: { incarnation, seq, epoch: '0' }, metadataId: state.metadata.id };
    const next = await expectState(read(held));
    expect([next.snapshot, next.metadata.kept, next.entries]).toEqual([null, null, []]);
    expect(await read({ ...held, version: { seq, rev: 3 } })).toMatchObject({ status: 'same', seq, rev: 3 });
    expect(await read({ version: 'any' })).toMatchObject({ status: 'same', seq, rev: 3 });
    expect((await read({ ...held, version: { seq, rev: 2 } })).status).toBe('state');
  });

  it('[S1a] are replaced by newer ones alone', async () => {
    const { keep, read, space } = await open();
    const { seq } = await space.add();
    expect(await keep(makeWorld(seq, 'newer'))).toBe(true);
    expect(await keep(makeWorld(1_000, 'older'))).toBe(false);
    expect(nameOf(await expectState(read()))).toBe('newer');
  });

  it('[S2a] are loaded by one reader at a time, who says when that has ended', async () => {
    const { read, store, address, incarnation } = await open();
    const missing = { status: 'missing', world: true, metadata: true };
    expect(await read({ token: 'first' })).toMatchObject({ ...missing, isChosen: true });
    expect(await read({ token: 'second' })).toMatchObject({ ...missing, isChosen: false });
    await store.endLoading(address, incarnation, 'second');
    expect(await read({ token: 'second' })).toMatchObject({ isChosen: false });
    await store.endLoading(address, incarnation, 'first');
    expect(await read({ token: 'second' })).toMatchObject({ isChosen: true });
  });

  it('[S1b] serve as long as the log goes on from them without a gap', async () => {
    const { space, keep, read, incarnation } = await open();
    const { seq: first } = await space.add();
    const { seq: second } = await space.add();
    await keep(makeWorld(1_000, 'from the beginning'));
    expect((await expectState(read())).entries).toHaveLength(2);
    expect(await read({ atLeast: 1_001 })).toMatchObject({ status: 'missing', world: true, metadata: false });
    await redis().command('XDEL', space.keys.log, `${first}-0`);
    expect(await read()).toMatchObject({ status: 'missing', world: true });
    expect(await read({ held: { incarnation, seq: first, epoch: '0' } })).toMatchObject({ status: 'state' });
    await redis().command('XDEL', space.keys.log, `${second}-0`);
    expect(await read({ held: { incarnation, seq: first, epoch: '0' } })).toMatchObject({
      status: 'missing',
    });
    const last = { held: { incarnation, seq: second, epoch: '0' } };
    // It shows an entry that was lost; once committed, the entry may be trimmed away.
    expect(await read(last)).toMatchObject({ status: 'missing' });
    await space.settle(second);
    expect(await read(last)).toMatchObject({ status: 'state' });
  });

  it('[L8a] do not serve where a break in the log is above them', async () => {
    const { space, keep, read, incarnation } = await open();
    const { seq } = await space.add();
    await keep(makeWorld(1_000, 'before the break'));
    await space.setMeta({ torn: 1_001 });
    expect(await read()).toMatchObject({ status: 'missing', world: true });
    const held = { incarnation, seq, epoch: '0' };
    expect(await read({ held })).toMatchObject({ status: 'state' });
  });

  it('[S3b] are shown no longer where what they show was written to, or taken out', async () => {
    const { store, keep, read, address } = await open();
    const { tenantId } = address;
    await keep(makeWorld(1_000, 'kept'));
    await store.markTenant(tenantId, { pendingMs: 60_000, erases: false });
    const under = await read();
    expect(under).toMatchObject({ status: 'missing', world: false, metadata: true });
    if (under.status !== 'missing') throw new Error('it is there');
    expect(Number(under.marks.pendingUntil)).toBeGreaterThan(0);
    await keep(makeWorld(1_000, 'kept'), under.marks);
    expect((await read()).status).toBe('state');
    await store.markTenant(tenantId, { pendingMs: null, erases: false });
    expect(await read()).toMatchObject({ status: 'missing', marks: { pendingUntil: '0' } });

    await store.markTenant(tenantId, { pendingMs: 60_000, erases: true });
    const erasing = await read();
    expect(erasing).toMatchObject({ status: 'missing', world: true, marks: { isErasing: true } });
    // Loaded under the epoch before.
    expect(await keep(makeWorld(1_000, 'still in it'), under.marks)).toBe(false);
    await store.markTenant(tenantId, { pendingMs: null, erases: true });
    expect(await read()).toMatchObject({ status: 'missing', world: true, marks: { isErasing: false } });
  });

  it('[S3b] a read waits for two simultaneous writes', async () => {
    const { store, read, address } = await open();
    const mark = (pendingMs: number | null) =>
      store.markTenant(address.tenantId, { pendingMs, erases: false });
    const isPending = async () => {
      const reply = await read();
      return reply.status === 'missing' && reply.marks.pendingUntil !== '0';
    };
    await mark(60_000);
    await mark(60_000);
    await mark(null);
    expect(await isPending()).toBe(true);
    await mark(null);
    expect(await isPending()).toBe(false);
  });

  it('[S4b] are renewed where one is kept, and for no longer than that was to be', async () => {
    const { space, keep, read } = await open();
    const { seq } = await space.add();
    expect(await keep(makeWorld(1_000, 'nobody asked for it'), MARKS, true)).toBe(false);
    await keep(makeWorld(1_000, 'kept'));
    const key = `wk:{${space.address.tenantId}!${space.address.spaceId}}:${space.opened.incarnation}:snap`;
    await redis().command('EXPIRE', key, '3000');
    expect((await space.settle(seq)).snapshot).toMatchObject({ objects: 2, operations: 1, bytes: 26 });
    expect(await keep(makeWorld(seq, 'renewed'), MARKS, true)).toBe(true);
    expect((await space.settle(seq)).snapshot).toEqual({ objects: 2, operations: 0, bytes: 0, ms: 0 });
    expect(Number(await redis().command('TTL', key))).toBeGreaterThan(2_900);
    expect(Number(await redis().command('TTL', key))).toBeLessThanOrEqual(3_000);
    expect(nameOf(await expectState(read()))).toBe('renewed');
  });

  it('are not kept of a world that is too large, nor of another incarnation, nor of a deleted space', async () => {
    const { space, store, address, incarnation, keep, read } = await open();
    await store.keepLarge(address, incarnation, 1_000);
    expect(await read()).toEqual({ status: 'large', last: 1_000, committed: 1_000 });
    const stray = { world: makeWorld(2_000, 'stray'), marks: MARKS, token: null };
    expect(await store.keepWorld(address, 'another', stray)).toBe(false);
    await space.log.retire(address, incarnation);
    expect(await keep(makeWorld(2_000, 'late'))).toBe(false);
    expect(await read()).toMatchObject({ status: 'deleted', isChosen: true });
  });

  it('are opened by one reader where Redis knows nothing of the space', async () => {
    const space = await openSpace({ isOpened: false });
    const store: StateStore = createStateStore(redis());
    const read = (token: string) => store.read(space.address, { ...REQUEST, token });
    expect(await read('first')).toMatchObject({ status: 'cold', isChosen: true });
    expect(await read('second')).toMatchObject({ status: 'cold', isChosen: false });
  });
});
