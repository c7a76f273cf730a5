/** A Worker that is restarted when it dies. */
export interface Mortal {
  /** Settles with how it died, also after `stop()`. */
  died: Promise<string>;
  stop(): Promise<void>;
  /** Ends whatever is left of it. */
  kill(): Promise<void>;
}

export interface KeepOptions<T extends Mortal> {
  /** @param signal aborted by `stop()`: a start that is under way ends soon after, and may reject */
  start(signal: AbortSignal): Promise<T>;
  /** Told of each start, and with null of each death. */
  onChange(worker: T | null): void;
  log(line: string): void;
  /** Milliseconds. */
  now(): number;
}

export interface KeptWorker {
  /** Settles with a sentence when it is not started again. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

/** A Worker that dies more often than this within a minute is not started again. */
export const RESTARTS_MAX = 3;
const RESTARTS_WINDOW_MS = 60_000;

/** Starts the Worker, and starts it again when it dies. Rejects where the first start does. */
export async function keepWorker<T extends Mortal>({
  start,
  onChange,
  log,
  now,
}: KeepOptions<T>): Promise<KeptWorker> {
  const stopping = new AbortController();
  let worker = await start(stopping.signal);
  onChange(worker);
  let restartsMs: number[] = [];
  const keep = async (): Promise<string> => {
    for (;;) {
      const how = await worker.died;
      if (stopping.signal.aborted) return `The Worker ended (${how})`;
      onChange(null);
      await worker.kill();
      restartsMs = restartsMs.filter((atMs) => now() - atMs < RESTARTS_WINDOW_MS);
      if (restartsMs.length === RESTARTS_MAX)
        return `The Worker died (${how}) after ${RESTARTS_MAX} restarts within ${RESTARTS_WINDOW_MS / 1_000} s`;
      restartsMs.push(now());
      log(`the Worker died (${how}): restarting it`);
      worker = await start(stopping.signal);
      if (stopping.signal.aborted) {
        await worker.stop();
        continue;
      }
      onChange(worker);
      log('the Worker answers again');
    }
  };
  const ended = keep().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  return {
    ended,
    async stop() {
      stopping.abort();
      await worker.stop();
      await ended;
    },
  };
}
