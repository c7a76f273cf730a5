import { defineConfig } from 'vitest/config';
import { ROOMS, settings } from './vitest.config.ts';

/** `npm run proof`: evidence that a contributor does not need on every change. */
export default defineConfig({
  // Many proofs wait for processes to stop and start, so more files than cores run together.
  test: { ...settings, include: [`${ROOMS}/**/*.proof.ts`], maxWorkers: 3, testTimeout: 120_000 },
});
