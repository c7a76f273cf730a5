import { defineConfig } from 'vitest/config';
import { SlowFirst } from './test/slow-first.ts';
import { ROOMS, settings } from './vitest.config.ts';

/** `npm run proof`: evidence that a contributor does not need on every change. */
export default defineConfig({
  test: {
    ...settings,
    include: [`${ROOMS}/**/*.proof.ts`],
    testTimeout: 120_000,
    // Of tests that wait most of their time, as `slow-stores` does.
    maxConcurrency: 3,
    sequence: { sequencer: SlowFirst },
  },
});
