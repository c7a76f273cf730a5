import { afterAll, beforeAll, describe } from 'vitest';
import { describeApi } from './api.ts';
import { buildWorker, startWorkerd } from './targets.ts';

describe('HTTP, the built Worker in workerd', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>;
  beforeAll(async () => {
    built = await buildWorker();
  });
  afterAll(() => built?.remove());

  describeApi((env) => startWorkerd(built.path, env));
});
