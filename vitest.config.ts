import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{src,functions,dev,test,drizzle,bench}/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // Most of what is tested waits for stores, time-outs and processes: two files at once, also on two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: { include: ['{src,functions,dev}/**/*.ts'], exclude: ['**/*.test.ts'] },
  },
});
