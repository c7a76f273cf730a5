import type { UpkeepStore } from '../../src/jobs/upkeep-stores.ts';

/** The milliseconds of each call, by method and kind. Each is one transaction, so its time bounds the time of its locks. */
export type TimedCalls = Map<string, number[]>;

/** The same store, and the time of each of its calls. */
export function timeUpkeep<Store extends UpkeepStore>(store: Store): { store: Store; calls: TimedCalls } {
  const calls: TimedCalls = new Map();
  const timed = Object.entries(store).map(
    ([method, run]: [string, (...args: unknown[]) => Promise<unknown>]) => [
      method,
      async (...args: unknown[]) => {
        const startedMs = performance.now();
        try {
          return await run(...args);
        } finally {
          const name = method === 'cleanRecords' ? `${method} ${args[0]}` : method;
          const times = calls.get(name) ?? [];
          times.push(performance.now() - startedMs);
          calls.set(name, times);
        }
      },
    ],
  );
  return { store: Object.fromEntries(timed) as Store, calls };
}

/** One row for each kind of call. */
export function describeCalls(calls: TimedCalls): object[] {
  return [...calls].map(([call, ms]) => ({
    call,
    times: ms.length,
    'total ms': Math.round(ms.reduce((sum, one) => sum + one, 0)),
    'longest ms': Number(Math.max(...ms).toFixed(1)),
  }));
}
