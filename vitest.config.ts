import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{src,functions,dev,test,drizzle,bench}/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: { include: ['{src,functions,dev}/**/*.ts'], exclude: ['**/*.test.ts'] },
  },
});
