import { expect, it } from 'vitest';
import type { LogAddress, LogStore } from '../../src/log/log-stores.ts';
import { encodeEntries } from '../../src/world/check-operations.ts';
import type { Operation } from '../../src/world/operation.ts';
import { type ReplayWorld, replayEntry } from '../../src/world/replay.ts';
import { seqToTime } from '../../src/world/seq-time.ts';
import type { ObjectInput, Seq, WorldState } from '../../src/world/types.ts';
import { anyObject, anyOperation, Chance, OBJECT_IDS } from './chance.ts';
import { emptyWorld } from './fold.ts';
import { killAt, makeSpace, PEOPLE, type Rig, useRig } from './rig.ts';
import { openStateNode, type StateNode } from './state-rig.ts';

const SEED = Number(process.env.STATE_HISTORY_SEED ?? 1);
const STEPS = 30;

/**
 * Random histories, each from its own seed, with one writer and three readers. The test folds the acknowledged writes
 * too. One reader has a memory, one has none, one has small snapshots that expire soon. Every read must equal the fold.
 * `STATE_HISTORY_SEED` and `STATE_HISTORY_SEEDS` choose other seeds.
 */
export function describeStateHistories(count: number): void {
  const rig = useRig();
  const seeds = Number(process.env.STATE_HISTORY_SEEDS ?? count);
  it.concurrent.each(Array.from({ length: seeds }, (_, i) => SEED + i))(
    '[S1] a state equals all acknowledged writes, folded from the beginning (seed %i)',
    { timeout: 120_000 },
    async (seed) => {
      const steps: string[] = [];
      try {
        await runHistory(rig, new Chance(seed), (step) => void steps.push(step));
      } catch (error) {
        throw new Error(`STATE_HISTORY_SEED=${seed}, after\n${steps.join('\n')}`, { cause: error });
      }
    },
  );
}

async function runHistory(rig: Rig, chance: Chance, note: (step: string) => void): Promise<void> {
  const address = await makeSpace(rig);
  // Only a little of the log is kept, so a snapshot is soon too old for it.
  const log: LogStore = rig.openLogStore(
    chance.is(0.5) ? { replayWindowEntriesMax: 1 + chance.below(4) } : {},
  );
  const writer = openStateNode(rig, address, { stores: { log } });
  const readers: Record<string, StateNode> = {
    remembering: openStateNode(rig, address, { stores: { log } }),
    forgetful: openStateNode(rig, address, { stores: { log }, viewCharactersMax: 0 }),
    pieces: openStateNode(rig, address, {
      stores: { log },
      viewCharactersMax: chance.below(8_000),
      snapshots: { partCharactersMax: 64, entriesMax: 1 + chance.below(3), bytesMax: 200 },
    }),
  };
  const known: Known = { world: emptyWorld(), seqs: [] };
  for (let i = 0; i < STEPS; i++) {
    await step(rig, chance, { address, log, writer, readers, known, note });
    const name = chance.pick(Object.keys(readers));
    const reader = readers[name] as StateNode;
    if (chance.is(0.7)) {
      note(`${i}: ${name} reads`);
      expectWorld(await reader.read(), known.world);
    }
    if (chance.is(0.3)) await reader.node.settle();
  }
  for (const { node, read, told } of Object.values(readers)) {
    expectWorld(await read(), known.world);
    await node.settle();
    expect(told).toEqual([]);
  }
}

interface Known {
  world: ReplayWorld;
  seqs: Seq[];
}

interface Step {
  address: LogAddress;
  log: LogStore;
  writer: StateNode;
  readers: Record<string, StateNode>;
  known: Known;
  note: (step: string) => void;
}

async function step(
  rig: Rig,
  chance: Chance,
  { address, log, writer, readers, known, note }: Step,
): Promise<void> {
  const kind = chance.below(20);
  if (kind < 10) {
    const ops = Array.from({ length: 1 + chance.below(4) }, () => anyOperation(chance, known.seqs.slice(-6)));
    const waits = chance.is(0.3);
    note(`${waits ? 'commit' : 'enqueue'} ${JSON.stringify(ops)}`);
    await write(writer, address, ops, waits, known);
  } else if (kind < 12) {
    const mode = chance.pick(['replace', 'merge'] as const);
    const objects = OBJECT_IDS.filter(() => chance.is(0.4)).map((id) => anyObject(chance, id));
    note(`${mode} ${JSON.stringify(objects)}`);
    const { seq } = await writer.layer.saveWorldState({ objects }, { mode });
    foldSaved(known.world, objects, mode, seq);
    known.seqs.push(seq);
  } else if (kind === 12) {
    note('the space is deleted and made again');
    await writer.node.settle();
    await writer.layer.deleteSpace(address.spaceId);
    await expect(readers.remembering?.read()).rejects.toMatchObject({ code: 'not_found' });
    await writer.layer.putSpace(address.spaceId, { name: 'Again' });
    known.world = emptyWorld();
  } else if (kind < 16) {
    const [n, when] = [1 + chance.below(8), chance.pick(['before', 'after'] as const)];
    note(`a drain that is killed ${when} its call ${n}`);
    const { log: cut, store } = killAt({ ...rig, log }, n, when);
    const { drain } = openStateNode(rig, address, { stores: { log: cut, store } });
    await drain.drainSpace(address, { budgetMs: 20_000 }).catch(() => undefined);
  } else if (kind === 16) {
    note('the snapshot is renewed');
    const cursor = await rig.store.loadCursor(address);
    await writer.state.renew(address, cursor?.incarnation ?? '');
  } else if (kind === 17) {
    note('what is kept in Redis of the state is lost');
    const keys = await rig.admin.command('KEYS', `wk:{${address.tenantId}!${address.spaceId}}:*:snap`);
    for (const key of keys as string[]) await rig.admin.command('DEL', key);
  } else if (kind === 18) {
    note('a person has another name');
    await writer.layer.putUser({ id: chance.pick(PEOPLE), displayName: `n${chance.below(100)}` });
  } else {
    note('all is drained');
    await writer.drain.drainSpace(address, { budgetMs: 60_000 });
  }
}

async function write(
  { node }: StateNode,
  address: LogAddress,
  ops: Operation[],
  waits: boolean,
  known: Known,
): Promise<void> {
  const target = { ...address, actor: 'writer' };
  const answer = await node.spaceLog[waits ? 'commit' : 'enqueue'](target, ops, node.options());
  // One entry, because it is small.
  expect(encodeEntries(ops)).toHaveLength(1);
  replayEntry(known.world, { seq: answer.seq, prev: 0, actor: 'writer', ops, waits });
  known.seqs.push(answer.seq);
}

function foldSaved(world: ReplayWorld, objects: ObjectInput[], mode: 'replace' | 'merge', seq: Seq): void {
  if (mode === 'replace') world.objects.clear();
  for (const object of objects) {
    const { createdSeq, createdBy } = world.objects.get(object.id) ?? { createdSeq: seq, createdBy: null };
    world.objects.set(object.id, { ...structuredClone(object), seq, createdSeq, createdBy, updatedBy: null });
  }
}

function expectWorld(state: WorldState, world: ReplayWorld): void {
  const objects = [...world.objects.values()].map(({ createdSeq, ...object }) => ({
    spaceId: 'main',
    ...object,
    createdAt: seqToTime(createdSeq),
    updatedAt: seqToTime(object.seq),
  }));
  expect(state.objects).toEqual(objects.sort((a, b) => (a.id < b.id ? -1 : 1)));
  const avatars = [...world.avatars.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  expect(state.users.map(({ displayName, avatarUrl, ...avatar }) => avatar)).toEqual(avatars);
  const messages = [...(world.messages?.values() ?? [])].sort(
    (a, b) => a.seq - b.seq || (a.id < b.id ? -1 : 1),
  );
  expect(state.chat).toEqual(messages.map((message) => ({ ...message, createdAt: seqToTime(message.seq) })));
  expect(state.durableSeq).toBeLessThanOrEqual(state.seq);
  expect(state.seq).toBeGreaterThanOrEqual(Math.max(0, ...objects.map(({ seq }) => seq)));
}
