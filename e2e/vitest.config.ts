/**
 * End-to-end tests: a started `dozo`, real clients, real sockets, real kills. One file after the
 * other, because they share two cores and the disk.
 *
 * - `DOZO_E2E_SEED=N` repeats a run of what is drawn by lot.
 * - `DOZO_E2E_KILL_ROUNDS=N` kills the server N times.
 * - `DOZO_E2E_LONG=1` takes the sizes that need an hour: see `harness/scale.ts`.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.e2e.ts'],
    fileParallelism: false,
    // Never a measure of speed: what is not done by then hangs.
    testTimeout: 30 * 60_000,
    hookTimeout: 5 * 60_000,
    teardownTimeout: 60_000,
    expect: { requireAssertions: true },
    reporters: ['verbose', './harness/summary-reporter.ts'],
    disableConsoleIntercept: true,
  },
});
