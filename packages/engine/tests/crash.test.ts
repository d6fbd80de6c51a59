/**
 * Crash tests at scale. `DOZO_CRASH_SEED=17` replays one seed, `DOZO_CRASH_RUNS=1000` tries more than
 * the usual number, beginning with `DOZO_CRASH_FROM`.
 */
import { expect, test } from 'vitest';
import type { TestSwitches } from '../src/test-switches.ts';
import { PHASES_EXPECTED, noPhases } from './crash-phases.ts';
import type { Phase } from './crash-phases.ts';
import { runCrashes } from './crash-run.ts';

const CRASH_POINTS_MIN = 10_000;
/** In each kind of work, of the usual number of runs. */
const CRASH_POINTS_OF_PHASE_MIN = 50;
/** Of the other kinds of runs there is one for so many of the usual ones. */
const RUNS_PER_FULL = 10;
const RUNS_PER_DISCARDING = 6;
const RUNS_DEFAULT = 20;
/** A check that needs more seeds than this to notice a missing mechanism is too weak. */
const CATCHING_RUNS_MAX = 25;
/** That bytes of a key were taken off twice is seen at once; that the key itself was, when all is settled. */
const TWICE_COUNTED = /live bytes in the log, .* too few|stats, settled: \d+ keys .* really/;

const setting = (name: string): number | undefined => {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
};

test('after a crash at any operation every acknowledged batch is there, each whole or not at all', async () => {
  const onlySeed = setting('DOZO_CRASH_SEED');
  const runCount = onlySeed === undefined ? (setting('DOZO_CRASH_RUNS') ?? RUNS_DEFAULT) : 1;
  const from = onlySeed ?? setting('DOZO_CRASH_FROM') ?? 1;
  let crashPoints = 0;
  let [threadTasks, lostTasks] = [0, 0];
  const phases = noPhases();
  for (let seed = from; seed < from + runCount; seed++) {
    const result = await runCrashes({ seed });
    crashPoints += result.crashPoints;
    threadTasks += result.threadTasks;
    lostTasks += result.lostTasks;
    for (const phase of Object.keys(phases) as Phase[]) phases[phase] += result.phases[phase];
    const replay = `DOZO_CRASH_SEED=${String(seed)} npx vitest run packages/engine/tests/crash.test.ts`;
    expect(result.violation, `replay with: ${replay}`).toBeUndefined();
  }
  if (runCount < RUNS_DEFAULT) return;
  expect(crashPoints).toBeGreaterThanOrEqual(CRASH_POINTS_MIN);
  // Half of the seeds merge on threads.
  expect(threadTasks).toBeGreaterThan(1000);
  expect(lostTasks).toBeGreaterThan(100);
  for (const phase of PHASES_EXPECTED) {
    expect(phases[phase], phase).toBeGreaterThanOrEqual(CRASH_POINTS_OF_PHASE_MIN);
  }
}, 3_600_000);

test('after a crash at any operation on a full disk nothing is lost either', async () => {
  const runCount = Math.ceil((setting('DOZO_CRASH_RUNS') ?? RUNS_DEFAULT) / RUNS_PER_FULL);
  const from = setting('DOZO_CRASH_FROM') ?? 1;
  for (let seed = from; seed < from + runCount; seed++) {
    const { violation, refusedCount } = await runCrashes({ seed, isFull: true, agingBatches: 400 });
    expect(violation, `full, seed ${String(seed)}`).toBeUndefined();
    expect(refusedCount).toBeGreaterThan(20);
  }
}, 3_600_000);

test('discarding what is free loses nothing in a crash', async () => {
  for (let seed = 1; seed <= RUNS_DEFAULT / RUNS_PER_DISCARDING; seed++) {
    const { violation } = await runCrashes({ seed, discards: true });
    expect(violation, `seed ${String(seed)}`).toBeUndefined();
  }
}, 3_600_000);

test.each<[string, TestSwitches, RegExp?]>([
  ['a flush before the acknowledgement', { skipFlush: true }],
  ['a flush of what recovery has read', { skipRecoveryFlush: true }],
  ['the checksums of values at the end of the log', { skipTailValues: true }],
  ['keeping segments that the manifest needs', { freeBeforeManifest: true }],
  ['the exact ends that the fence names', { ignoreFence: true }],
  ['the flush of tables before a checkpoint names them', { publishBeforeTablesFlushed: true }],
  ['keeping the log until the memtable is in tables', { cutLogBeforeFlush: true }],
  ['counting a death once', { settleTwice: true }, TWICE_COUNTED],
  ['finding out what entries hide', { skipSettle: true }, /stats, settled/],
])('the crash test notices when this is missing: %s', async (_, switches, words = /./) => {
  let violation: string | undefined;
  for (let seed = 1; seed <= CATCHING_RUNS_MAX && violation === undefined; seed++) {
    // Every other run has few keys: there segments die while the manifest still needs them.
    const hasFewKeys = seed % 2 === 1;
    violation = (await runCrashes({ seed, switches, hasFewKeys })).violation;
  }
  expect(violation).toMatch(words);
});

test.each([
  ['records that fill their segments badly were moved from one to the next for ever', 1039],
])('a seed that once failed: %s', async (_, seed) => {
  expect((await runCrashes({ seed, isInline: true })).violation).toBeUndefined();
});
