/**
 * The model test: random lives of an engine against a plain sorted map. `DOZO_MODEL_SEED=17` replays one
 * seed; many more are run by `npm run check:engine-model`.
 */
import { expect, test } from 'vitest';
import type { TestSwitches } from '../src/test-switches.ts';
import { missingWork } from './engine-features.ts';
import { runModel } from './model/model-run.ts';

const OPERATIONS = 10_000;
const SEEDS_DEFAULT = [1, 2, 3, 4, 5];
/** A check that needs more seeds than this to notice a missing mechanism is too weak. */
const CATCHING_RUNS_MAX = 25;
/** That bytes of a key were taken off twice is seen at once; that the key itself was, when all is settled. */
const TWICE_COUNTED = /live bytes in the log, .* too few|stats, settled: \d+ keys .* really/;

const onlySeed = process.env['DOZO_MODEL_SEED'];

/** Of the seeds above, whose merges run on threads: see `drawn-compute.ts`. */
const SEEDS_ON_THREADS = [2, 3];
/** And those whose device answers most reads at once. */
const SEEDS_IN_MEMORY = [3];

test.each(onlySeed === undefined ? SEEDS_DEFAULT : [Number(onlySeed)])(
  'seed %i: whatever is read is what a plain map says, through crashes and restarts',
  async (seed) => {
    const { counts, violation } = await runModel({ seed, operationCount: OPERATIONS });
    const replay = `DOZO_MODEL_SEED=${String(seed)} npx vitest run packages/engine/tests/model.test.ts`;
    expect(violation, `replay with: ${replay}`).toBeUndefined();
    // Otherwise nothing was shown.
    expect(missingWork(counts)).toEqual([]);
    expect(counts.memtableFlushes).toBeGreaterThan(100);
    expect(counts.compactions).toBeGreaterThan(20);
    expect(counts.rangeDeletes).toBeGreaterThan(0);
    expect(counts.crashes).toBeGreaterThan(0);
    expect(counts.reopens).toBeGreaterThan(0);
    expect(counts.snapshotReads).toBeGreaterThan(0);
    if (onlySeed !== undefined) return;
    expect(counts.threadTasks > 100).toBe(SEEDS_ON_THREADS.includes(seed));
    expect(counts.lostTasks > 10).toBe(SEEDS_ON_THREADS.includes(seed));
    expect(counts.cachedReads > 100).toBe(SEEDS_IN_MEMORY.includes(seed));
  },
);

test.each<[string, TestSwitches, RegExp?]>([
  ['a flush before the acknowledgement', { skipFlush: true }],
  ['a second look at records that reclaim moves', { moveBlindly: true }],
  ['keeping deletes until the last level', { dropDeletesEarly: true }, /resurrected/],
  ['counting a death once', { settleTwice: true }, TWICE_COUNTED],
  ['keeping tables that a snapshot still reads', { freeTablesInUse: true }],
])('the model test notices when this is missing: %s', async (_, switches, words = /./) => {
  let violation: string | undefined;
  for (let seed = 1; seed <= CATCHING_RUNS_MAX && violation === undefined; seed++) {
    violation = (await runModel({ seed, operationCount: OPERATIONS, switches })).violation;
  }
  expect(violation).toMatch(words);
});

test.each([
  ['what reclaim freed on a full disk went into its own checkpoints, for ever', 101],
  ['deletes were refused where reclaim had given up', 979],
])(
  'a seed that once failed: %s',
  async (_, seed) => {
    const { violation } = await runModel({ seed, operationCount: 10_000 });
    expect(violation).toBeUndefined();
  },
  120_000,
);
