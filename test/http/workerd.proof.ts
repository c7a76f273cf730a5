import { describe } from 'vitest';
import { describeContract, describeFigures } from './api.ts';
import { OVER_HTTP, type Runtime } from './runtimes.ts';
import { buildWorkerOnce, startWorkerd } from './targets.ts';

describe('HTTP, the built Worker in workerd', () => {
  const runtime: Runtime = {
    ...OVER_HTTP,
    hasBucket: true,
    start: async (env) => startWorkerd(await buildWorkerOnce(), env),
  };
  // `npm test` runs the other cases here.
  describeContract(runtime);
  describeFigures(runtime);
});
