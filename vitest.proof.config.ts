import { defineConfig } from 'vitest/config';
import { SlowFirst } from './test/slow-first.ts';
import { ROOMS, settings } from './vitest.config.ts';

/** `npm run proof`: evidence that a contributor does not need on every change. */
export default defineConfig({
  test: {
    ...settings,
    include: [`${ROOMS}/**/*.proof.ts`],
    testTimeout: 120_000,
    sequence: { sequencer: SlowFirst },
  },
});
