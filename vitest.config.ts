/**
 * Unit and package tests. Whatever needs a started `dozo`, foreign programs or minutes is in `e2e/`
 * and has a configuration of its own.
 */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/{src,tests}/**/*.test.ts', '{tools,bench,e2e}/**/*.test.ts'],
    // Never a measure of speed: a test that is not done by then hangs.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: Math.max(2, availableParallelism()),
    expect: { requireAssertions: true },
  },
});
