import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { SlowFirst } from './test/slow-first.ts';

export const ROOMS = '{src,functions,dev,test,drizzle,bench,web}';

/** Holds the real scenes and the HTTP contract, which are not part of the repository. */
export const SHARED = new URL('../shared', import.meta.url);

/** Common to `npm test` and `npm run proof`. */
export const settings = {
  exclude: ['**/node_modules/**', ...(existsSync(SHARED) ? [] : ['**/*.shared.*'])],
  globalSetup: ['test/global-setup.ts'],
  // Half of the time is spent waiting for stores and processes, so one file more than two cores can compute.
  maxWorkers: 3,
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // Vitest waits 1 s, which is short on a busy machine. `testTimeout` still ends a test that waits for nothing.
  expect: { poll: { timeout: 20_000 } },
};

/** `npm test`: every rule once, in less than five minutes on two cores. */
export default defineConfig({
  test: {
    ...settings,
    include: [`${ROOMS}/**/*.test.ts`],
    // Files share processes: one process per file takes twice the CPU.
    isolate: false,
    sequence: { sequencer: SlowFirst },
    coverage: { include: ['{src,functions,dev}/**/*.ts'], exclude: ['**/*.{test,proof}.ts'] },
  },
});
