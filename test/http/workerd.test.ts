import { afterAll, beforeAll, describe } from 'vitest';
import { describeApi } from './api.ts';
import { describeConnections } from './cases/connections.ts';
import { OVER_HTTP, type Runtime } from './runtimes.ts';
import { buildWorker, startWorkerd } from './targets.ts';

describe('HTTP, the built Worker in workerd', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>;
  beforeAll(async () => {
    built = await buildWorker();
  });
  afterAll(() => built?.remove());

  const runtime: Runtime = { ...OVER_HTTP, start: (env) => startWorkerd(built.path, env) };
  describeApi(runtime);
  describeConnections(runtime);
});
