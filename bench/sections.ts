import { measureDrizzleUpdate } from './baselines/drizzle-update.ts';
import { measureDurableObject } from './baselines/durable-object.ts';
import { measureMission } from './baselines/mission.ts';
import type { Section } from './harness/bench.ts';
import { measureAppend } from './sections/append.ts';
import { measureBoth } from './sections/both.ts';
import { measureBytes } from './sections/bytes.ts';
import { measureClient } from './sections/client.ts';
import { measureCold } from './sections/cold.ts';
import { measureCommands } from './sections/commands.ts';
import { measureCrash } from './sections/crash.ts';
import { measureDelivery } from './sections/delivery.ts';
import { measureDrainCold, measureDrainHot } from './sections/drain.ts';
import { measureFiles } from './sections/files.ts';
import { measureHitRate } from './sections/hit-rate.ts';
import { measureIdleCpu } from './sections/idle-cpu.ts';
import { measureLibrary } from './sections/library.ts';
import { measureReads } from './sections/reads.ts';
import { measureRoutes } from './sections/routes.ts';
import { measureState } from './sections/state.ts';
import { measureThrough } from './sections/through.ts';
import { measureWait } from './sections/wait.ts';

export const BASELINES: ReadonlySet<string> = new Set(['drizzle-update', 'mission', 'durable-object']);

/** Everything that is measured, in the order of measuring: baselines first. */
export const SECTIONS: readonly { name: string; what: string; measure: Section }[] = [
  {
    name: 'drizzle-update',
    measure: measureDrizzleUpdate,
    what: 'baseline: one UPDATE an object through the same client',
  },
  {
    name: 'mission',
    measure: measureMission,
    what: 'baseline: a queue in memory, flushed at 100 ms or 100 items',
  },
  { name: 'durable-object', measure: measureDurableObject, what: 'baseline: one Durable Object with SQLite' },
  { name: 'append', what: 'updates accepted at saturation, nothing draining', measure: measureAppend },
  { name: 'drain-hot', what: 'a full log drained, over few objects', measure: measureDrainHot },
  { name: 'drain-cold', what: 'a full log drained, over many objects', measure: measureDrainCold },
  { name: 'both', what: 'appends and drains at a fixed rate, durability lag, memory', measure: measureBoth },
  { name: 'through', what: 'appends and drains as fast as both go', measure: measureThrough },
  { name: 'wait', what: 'requests that wait for their commit', measure: measureWait },
  { name: 'idle-cpu', what: 'CPU per update in a quiet world', measure: measureIdleCpu },
  { name: 'bytes', what: 'bytes kept of each object', measure: measureBytes },
  {
    name: 'crash',
    what: 'SIGKILL at acknowledgements: acknowledged updates that are lost',
    measure: measureCrash,
  },
  { name: 'state', what: 'states read while updates flow in, and 304', measure: measureState },
  { name: 'reads', what: 'Redis commands for each read of a state', measure: measureReads },
  { name: 'cold', what: 'a state that no cache has', measure: measureCold },
  {
    name: 'hit-rate',
    what: 'reads of many spaces that change: the share without a load',
    measure: measureHitRate,
  },
  { name: 'delivery', what: 'from an update to the clients that follow the space', measure: measureDelivery },
  { name: 'routes', what: 'every route by itself', measure: measureRoutes },
  { name: 'files', what: 'a large model up and down, next to the bare bucket', measure: measureFiles },
  { name: 'library', what: 'states of a tenant with many models', measure: measureLibrary },
  { name: 'client', what: 'the SDK: delivery, memory, return after an outage', measure: measureClient },
  {
    name: 'commands',
    what: 'commands and statements for a million, and their price',
    measure: measureCommands,
  },
];
