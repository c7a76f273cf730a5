import type { WorkerVariables } from '../../dev/worker.ts';
import type { Bench } from './bench.ts';
import { type Load, type LoadTarget, openLoad } from './load.ts';
import type { Processes } from './processes.ts';
import { type BenchSpace, makeSpace, type SpaceWatch, watchSpace } from './space.ts';
import type { BenchStack } from './stack.ts';
import type { Workerd } from './workerd.ts';

/** A stack of its own, and the Worker on it. */
export interface Setting {
  stack: BenchStack;
  worker: Workerd;
  /** redis, postgres, and workerd with the emulators, or node */
  processes: Processes;
}

/** A space in a setting. */
export interface SpaceSetting extends Setting {
  space: BenchSpace;
  watch: SpaceWatch;
  objects: number;
}

/** Starts what is measured, and ends it whatever becomes of `use`. */
export async function withWorker<T>(
  { openStack, startServer, runtime }: Bench,
  variables: WorkerVariables,
  use: (setting: Setting) => Promise<T>,
): Promise<T> {
  const stack = await openStack();
  try {
    const worker = await startServer(stack.values, variables);
    const { emulators, ...stores } = stack.processes;
    // On Node nothing is emulated but QStash, which only drains of a whole log ask for.
    const processes =
      runtime === 'node'
        ? { ...stores, node: worker.pid }
        : { ...stores, emulators: emulators ?? 0, workerd: worker.pid };
    try {
      return await use({ stack, worker, processes });
    } finally {
      await worker.stop();
    }
  } finally {
    await stack.stop();
  }
}

/** Makes a space with objects in it; its keys in Redis go afterwards, so that the next one has their memory. */
export async function withSpace<T>(
  setting: Setting,
  objects: number,
  use: (setting: SpaceSetting) => Promise<T>,
): Promise<T> {
  const space = await makeSpace(setting.stack, setting.worker.url, objects);
  const watch = await watchSpace(setting.stack, space.address);
  try {
    const result = await use({ ...setting, space, watch, objects });
    await watch.forget();
    return result;
  } finally {
    await watch.close();
  }
}

/** A load on the space's hot path. @param seed which walk the objects take */
export async function withLoad<T>(
  { worker, space, objects }: SpaceSetting,
  options: Pick<LoadTarget, 'opsPerRequest' | 'seed' | 'form' | 'isFast'> & {
    headers?: Record<string, string>;
  },
  use: (load: Load) => Promise<T>,
): Promise<T> {
  const { headers, ...moves } = options;
  const load = await openLoad({
    url: `${worker.url}${space.path}/updates`,
    headers: { ...space.headers, ...headers },
    objects,
    ...moves,
  });
  try {
    return await use(load);
  } finally {
    await load.close();
  }
}
