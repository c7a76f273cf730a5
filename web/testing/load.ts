interface Caller {
  call(method: string, path: string, body?: unknown): Promise<unknown>;
}

export interface Load {
  /** Requests that were answered with an error. */
  failures: string[];
  stop(): Promise<void>;
}

const PAUSE_MS = 50;
const STATE_READ_EVERY = 10;

/** Moves objects of some spaces, and reads their states, until it is stopped. */
export function startLoad({ call }: Caller, spaces: readonly string[], objects = 20): Load {
  const failures: string[] = [];
  let isRunning = true;
  const run = async (space: string) => {
    for (let n = 0; isRunning; n++) {
      const ids = Array.from({ length: objects }, (_, i) => i);
      const ops = ids.map((i) => ({
        op: n === 0 ? 'put' : 'patch',
        id: `load-${i}`,
        position: { x: n, y: i, z: 0 },
      }));
      try {
        await call('POST', `/v1/spaces/${space}/updates`, { ops });
        if (n % STATE_READ_EVERY === 0) await call('GET', `/v1/spaces/${space}/state`);
      } catch (error) {
        failures.push(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  const runs = spaces.map(run);
  return {
    failures,
    async stop() {
      isRunning = false;
      await Promise.all(runs);
    },
  };
}
