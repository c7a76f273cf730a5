import { describe } from 'vitest';
import { describeRuntime } from './api.ts';
import { describeConnections } from './cases/connections.ts';
import { describeOutages } from './cases/outages.ts';
import { OVER_HTTP, type Runtime } from './runtimes.ts';
import { buildWorkerOnce, startWorkerd } from './targets.ts';

describe('HTTP, the built Worker in workerd', () => {
  const runtime: Runtime = {
    ...OVER_HTTP,
    hasBucket: true,
    start: async (env) => startWorkerd(await buildWorkerOnce(), env),
  };
  describeRuntime(runtime);
  describeOutages(runtime);
  describeConnections(runtime);
});
