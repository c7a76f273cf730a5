import { expect, it } from 'vitest';
import type { InjectedFault } from '../../dev/emulators/faults.ts';
import type { LogAddress, LogStore } from '../../src/log/log-stores.ts';
import { WriteQueued } from '../../src/persistence/world-writes.ts';
import { PersistenceLayer, type WorldStore } from '../../src/persistence-layer.ts';
import { AppError } from '../../src/world/errors.ts';
import { packMoves } from '../../src/world/move.ts';
import type { OperationResult } from '../../src/world/operation.ts';
import type { ObjectInput, Seq } from '../../src/world/types.ts';
import { anyMoves, anyObject, anyOperation, Chance, OBJECT_IDS } from './chance.ts';
import { expectDrained } from './fold.ts';
import { killAt, makeSpace, openDrain, openSpaceLog, type Rig, useRig } from './rig.ts';

/** A seed gives the same steps, but the timing of the stores differs. */
const SEED = Number(process.env.LOG_HISTORY_SEED ?? 1);
const WRITERS = 3;
const STEPS = 12;
const TRIES_MAX = 3;

/** The answer that a writer got for its write. Each write has its own actor as its key. */
interface Told {
  outcome: 'queued' | 'committed' | 'unknown' | 'refused';
  seq?: Seq;
  results?: OperationResult[];
}

/** Random histories of one space, each from its own seed. `LOG_HISTORY_SEED` and `LOG_HISTORY_SEEDS` choose others. */
export function describeHistories(count: number): void {
  const rig = useRig();
  const seeds = Number(process.env.LOG_HISTORY_SEEDS ?? count);
  it.concurrent.each(Array.from({ length: seeds }, (_, i) => SEED + i))(
    'no acknowledged write is missing or doubled, and the state equals the log in order (seed %i)',
    { timeout: 120_000 },
    async (seed) => {
      const steps: string[] = [];
      try {
        await runHistory(rig, seed, steps);
      } catch (error) {
        throw new Error(`LOG_HISTORY_SEED=${seed}, after\n${steps.join('\n')}`, { cause: error });
      }
    },
  );
}

async function runHistory(rig: Rig, seed: number, steps: string[]): Promise<void> {
  const address = await makeSpace(rig);
  const stages = new Map<string, ObjectInput[]>();
  const world: WorldStore = {
    ...rig.world,
    async stageWorld(target, input) {
      const staged = await rig.world.stageWorld(target, input);
      if (staged !== 'unknown_space') stages.set(staged.stageId, input.objects);
      return staged;
    },
  };
  const told = new Map<string, Told>();
  const seqs: Seq[] = [];
  const faults: InjectedFault[] = [];
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    const chance = new Chance(seed * 1_000 + writer);
    const node = openNode(rig, chance);
    const layer = new PersistenceLayer(
      world,
      { log: node.spaceLog, defer: node.defer },
      { ...address, actor: null },
    );
    for (let step = 0; step < STEPS; step++) {
      const name = `w${writer}-${step}`;
      const note = (text: string) => steps.push(`${name}: ${text}`);
      faults.push(...disturb(rig, chance, address, note));
      const own = await write(chance, { layer, address, name, seqs, note, node });
      note(`${own.outcome} ${own.seq ?? ''}`);
      told.set(name, own);
      if (own.seq !== undefined) seqs.push(own.seq);
    }
    await node.settle();
  });
  await Promise.all(writers);
  for (const fault of faults) fault.remove();
  await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });

  const { entries, results } = await expectDrained(rig, address, { stages });
  for (const [name, { outcome, seq, results: said }] of told) {
    const own = entries.filter(({ actor }) => actor === name);
    if (outcome === 'refused') expect(own, name).toEqual([]);
    else if (outcome === 'unknown') expect(own.length, name).toBeLessThanOrEqual(1);
    else
      expect(
        own.map((entry) => entry.seq),
        name,
      ).toEqual([seq]);
    if (said !== undefined) expect(said, name).toEqual(results.get(seq ?? 0));
  }
}

/** A process: a space log, and a drain with few entries per batch. */
function openNode(rig: Rig, chance: Chance) {
  const log: LogStore = {
    ...rig.log,
    read: (address, request) => rig.log.read(address, { ...request, entriesMax: 1 + chance.below(6) }),
  };
  const { drain } = openDrain(rig, { log });
  return openSpaceLog(rig, drain);
}

/** Faults of the stores, drains at any time, and drains that end anywhere. */
function disturb(
  rig: Rig,
  chance: Chance,
  address: LogAddress,
  note: (text: string) => void,
): InjectedFault[] {
  const faults: InjectedFault[] = [];
  const kind = chance.pick(['drop-reply', 'refuse'] as const);
  if (chance.is(0.1)) {
    faults.push(rig.upstash.inject({ kind, times: 1, match: address.tenantId }));
    note(`Redis: ${kind}`);
  }
  if (chance.is(0.1)) {
    faults.push(rig.neon.inject({ kind, times: 1, match: address.tenantId }));
    note(`Postgres: ${kind}`);
  }
  if (chance.is(0.25)) {
    const [n, when] = [1 + chance.below(12), chance.pick(['before', 'after'] as const)];
    note(`a drain that is killed ${when} call ${n}`);
    const { drain } = openDrain(rig, killAt(rig, n, when));
    void drain.drainSpace(address, { budgetMs: 20_000 }).catch(() => undefined);
  }
  return faults;
}

interface Write {
  layer: PersistenceLayer;
  address: LogAddress;
  name: string;
  seqs: readonly Seq[];
  note: (text: string) => void;
  node: ReturnType<typeof openNode>;
}

async function write(chance: Chance, { layer, address, name, seqs, note, node }: Write): Promise<Told> {
  const target = { ...address, actor: name };
  if (chance.is(0.12)) {
    const mode = chance.pick(['replace', 'merge'] as const);
    const objects = OBJECT_IDS.filter(() => chance.is(0.4)).map((id) => anyObject(chance, id));
    note(`${mode} ${JSON.stringify(objects)}`);
    const own = layer.forTenant(address.tenantId, name);
    return tell(async () => {
      const { seq } = await own.saveWorldState({ objects }, { mode });
      return { outcome: 'committed', seq };
    }, 1);
  }
  const waits = chance.is(0.4);
  const drawn = Array.from({ length: 1 + chance.below(5) }, () => anyOperation(chance, seqs));
  if (chance.is(0.3)) drawn.push(...anyMoves(chance));
  const ops = chance.is(0.5) ? packMoves(drawn) : drawn;
  note(`${waits ? 'commit' : 'enqueue'} ${JSON.stringify(ops)}`);
  const tries = chance.is(0.8) ? TRIES_MAX : 1;
  return tell(async () => {
    const how = waits ? 'commit' : 'enqueue';
    const answer = await node.spaceLog[how](target, ops, node.options(name));
    if (answer.status === 'queued') return { outcome: 'queued', seq: answer.seq };
    return { outcome: 'committed', seq: answer.seq, results: answer.results };
  }, tries);
}

/** Sends a write, and repeats it under the same key if it failed. @returns the outcome that the caller learns */
async function tell(send: () => Promise<Told>, tries: number): Promise<Told> {
  for (let i = 1; ; i++) {
    try {
      return await send();
    } catch (error) {
      if (error instanceof WriteQueued && error.seq !== undefined)
        return { outcome: 'queued', seq: error.seq };
      if (!(error instanceof AppError) || error.code !== 'store_unavailable') throw error;
      if (i >= tries) return { outcome: 'unknown' };
    }
  }
}
