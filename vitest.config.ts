/**
 * Unit and package tests. Whatever needs a started `dozo`, foreign programs or minutes is in `e2e/`
 * and has a configuration of its own.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { longestFirst } from './tools/longest-first.ts';

const root = import.meta.dirname;
/** Those above ten seconds. */
const SECONDS = {
  'packages/engine/tests/crash.test.ts': 80,
  'packages/s3/tests/real-engine.test.ts': 30,
  'packages/claim/tests/model/model.test.ts': 25,
  'packages/dozo/tests/up.test.ts': 25,
  'packages/dozo/tests/device.test.ts': 25,
  'packages/dozo/tests/forensics-command.test.ts': 15,
  'packages/engine/tests/full.test.ts': 15,
  'packages/s3/tests/races.test.ts': 15,
  'packages/engine/tests/zombie.test.ts': 15,
  'packages/engine/tests/real-device.test.ts': 12,
  'packages/engine/tests/space-kept.test.ts': 12,
  'packages/claim/tests/schedules/schedules.test.ts': 10,
};

export default defineConfig({
  test: {
    include: ['packages/*/{src,tests}/**/*.test.ts', '{tools,bench,e2e}/**/*.test.ts'],
    sequence: { sequencer: longestFirst(root, SECONDS) },
    // For the tests that start processes: most of the time of a start is spent on compiling.
    env: { NODE_COMPILE_CACHE: join(root, 'build', 'compile-cache') },
    // Never a measure of speed: a test that is not done by then hangs.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: Math.max(2, availableParallelism()),
    expect: { requireAssertions: true },
  },
});
