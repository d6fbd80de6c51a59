/**
 * End-to-end tests: a started `dozo`, real clients, real sockets, real kills. Two files at a time, because
 * most of them wait for leases most of the time; the longest first. What measures memory comes after
 * them and is alone. Nothing is shared: each file has a directory, loop devices, ports and containers
 * of its own, and looks for what it left behind only there.
 *
 * - `DOZO_E2E_SEED=N` repeats a run of what is drawn by lot.
 * - `DOZO_E2E_KILL_ROUNDS=N` kills the server N times.
 * - `DOZO_E2E_LONG=1` takes the sizes that need an hour: see `harness/scale.ts`.
 */
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { longestFirst } from '../tools/longest-first.ts';

const root = import.meta.dirname;
const ALONE = ['memory.e2e.ts'];
/** Those above half a minute, with another one beside them. The summary reporter says what they are. */
const SECONDS = {
  'aws.e2e.ts': 110,
  'guard.e2e.ts': 90,
  'lab.e2e.ts': 87,
  'kill-9.e2e.ts': 81,
  'hostile-connections.e2e.ts': 61,
  'zombie.e2e.ts': 60,
  'restic.e2e.ts': 50,
  'exclusion.e2e.ts': 50,
  'rclone.e2e.ts': 50,
  'published.e2e.ts': 45,
  'containers.e2e.ts': 43,
  's3cmd.e2e.ts': 35,
  'full-device.e2e.ts': 35,
  'soak-engine.e2e.ts': 100,
  'lab-ended.e2e.ts': 30,
};

export default defineConfig({
  test: {
    root,
    maxWorkers: 2,
    sequence: { sequencer: longestFirst(root, SECONDS) },
    reporters: ['verbose', './harness/summary-reporter.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'together', include: ['**/*.e2e.ts'], exclude: ALONE },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
    // Hundreds of processes are started, and most of the time of a start is spent on compiling.
    env: { NODE_COMPILE_CACHE: join(root, '..', 'build', 'compile-cache') },
    // Never a measure of speed: what is not done by then hangs.
    testTimeout: 30 * 60_000,
    hookTimeout: 5 * 60_000,
    teardownTimeout: 60_000,
    expect: { requireAssertions: true },
    disableConsoleIntercept: true,
  },
});
