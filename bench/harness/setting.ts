import type { WorkerVariables } from '../../dev/worker.ts';
import type { Bench } from './bench.ts';
import { type Load, type LoadTarget, openLoad } from './load.ts';
import type { Processes } from './processes.ts';
import { type BenchSpace, makeSpace, type SpaceWatch, watchSpace } from './space.ts';
import type { BenchStack } from './stack.ts';
import type { Workerd } from './workerd.ts';

/** A separate stack, and the Worker on it. */
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

/** Starts a stack and the functions, and ends them even if `use` fails. */
export async function withWorker<T>(
  { openStack, startServer, runtime }: Bench,
  variables: WorkerVariables,
  use: (setting: Setting) => Promise<T>,
): Promise<T> {
  const stack = await openStack();
  try {
    const worker = await startServer(stack.values, variables);
    const { emulators, ...stores } = stack.processes;
    // On Node only QStash is emulated, and only drains of a whole log use it.
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

/** Makes a space with objects. Deletes its Redis keys afterwards, so that the next space has their memory. */
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
