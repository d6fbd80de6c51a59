/**
 * Crash tests at scale. `DOZO_CRASH_SEED=17` replays one seed, `DOZO_CRASH_RUNS=1000` tries more than
 * the usual number, beginning with `DOZO_CRASH_FROM`.
 */
import { expect, test } from 'vitest';
import type { TestSwitches } from '../src/test-switches.ts';
import { runCrashes } from './crash-run.ts';

const CRASH_POINTS_MIN = 10_000;
const RUNS_DEFAULT = 30;
/** A check that needs more seeds than this to notice a missing mechanism is too weak. */
const CATCHING_RUNS_MAX = 25;

const setting = (name: string): number | undefined => {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
};

test('after a crash at any operation every acknowledged batch is there, each whole or not at all', async () => {
  const onlySeed = setting('DOZO_CRASH_SEED');
  const runCount = onlySeed === undefined ? (setting('DOZO_CRASH_RUNS') ?? RUNS_DEFAULT) : 1;
  const from = onlySeed ?? setting('DOZO_CRASH_FROM') ?? 1;
  let crashPoints = 0;
  for (let seed = from; seed < from + runCount; seed++) {
    const result = await runCrashes({ seed });
    crashPoints += result.crashPoints;
    const replay = `DOZO_CRASH_SEED=${String(seed)} npx vitest run packages/engine/tests/crash.test.ts`;
    expect(result.violation, `replay with: ${replay}`).toBeUndefined();
  }
  if (runCount >= RUNS_DEFAULT) expect(crashPoints).toBeGreaterThanOrEqual(CRASH_POINTS_MIN);
}, 3_600_000);

test('discarding what is free loses nothing in a crash', async () => {
  for (let seed = 1; seed <= RUNS_DEFAULT / 6; seed++) {
    const { violation } = await runCrashes({ seed, discards: true });
    expect(violation, `seed ${String(seed)}`).toBeUndefined();
  }
}, 3_600_000);

test.each<[string, TestSwitches]>([
  ['a flush before the acknowledgement', { skipFlush: true }],
  ['a flush of what recovery has read', { skipRecoveryFlush: true }],
  ['the checksums of values at the end of the log', { skipTailValues: true }],
  ['keeping segments that the manifest needs', { freeBeforeManifest: true }],
  ['the exact ends that the fence names', { ignoreFence: true }],
  ['a second look at records that reclaim moves', { moveBlindly: true }],
])('the crash test notices when this is missing: %s', async (_, switches) => {
  let violation: string | undefined;
  for (let seed = 1; seed <= CATCHING_RUNS_MAX && violation === undefined; seed++) {
    // Every other run has few keys: there segments die while the manifest still needs them.
    const hasFewKeys = seed % 2 === 1;
    violation = (await runCrashes({ seed, switches, hasFewKeys })).violation;
  }
  expect(violation).toBeDefined();
});

test.each([
  ['records that fill their segments badly were moved from one to the next for ever', 1039],
])('a seed that once failed: %s', async (_, seed) => {
  expect((await runCrashes({ seed })).violation).toBeUndefined();
});
