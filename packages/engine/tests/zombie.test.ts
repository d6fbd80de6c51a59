/**
 * Zombies at scale. `DOZO_ZOMBIE_SEED=17` replays one seed, `DOZO_ZOMBIE_RUNS=1000` tries more than the
 * usual number, beginning with `DOZO_ZOMBIE_FROM`.
 */
import { expect, test } from 'vitest';
import type { TestSwitches } from '../src/test-switches.ts';
import { runZombie } from './zombie-run.ts';

const RUNS_DEFAULT = 100;
/** A check that needs more seeds than this to notice a missing mechanism is too weak. */
const CATCHING_RUNS_MAX = 25;

const setting = (name: string): number | undefined => {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
};

test('a zombie that writes all it can changes nothing that its successors read', async () => {
  const onlySeed = setting('DOZO_ZOMBIE_SEED');
  const runCount = onlySeed === undefined ? (setting('DOZO_ZOMBIE_RUNS') ?? RUNS_DEFAULT) : 1;
  const from = onlySeed ?? setting('DOZO_ZOMBIE_FROM') ?? 1;
  let [zombieBatches, zombieTableJobs, successorTableJobs] = [0, 0, 0];
  for (let seed = from; seed < from + runCount; seed++) {
    const result = await runZombie({ seed });
    zombieBatches += result.zombieBatches;
    zombieTableJobs += result.zombieTableJobs;
    successorTableJobs += result.successorTableJobs;
    const replay = `DOZO_ZOMBIE_SEED=${String(seed)} npx vitest run packages/engine/tests/zombie.test.ts`;
    expect(result.violation, `replay with: ${replay}`).toBeUndefined();
  }
  if (runCount < RUNS_DEFAULT) return;
  // Otherwise there was no zombie, or none that had to do with tables.
  expect(zombieBatches).toBeGreaterThan(runCount);
  expect(zombieTableJobs).toBeGreaterThan(runCount);
  expect(successorTableJobs).toBeGreaterThan(runCount * 10);
}, 3_600_000);

test('a zombie that also discards what it believes to be free destroys nothing that counts', async () => {
  const runCount = (setting('DOZO_ZOMBIE_RUNS') ?? RUNS_DEFAULT) / 2;
  const from = setting('DOZO_ZOMBIE_FROM') ?? 1;
  for (let seed = from; seed < from + runCount; seed++) {
    const { violation } = await runZombie({ seed, discards: true });
    expect(violation, `seed ${String(seed)}`).toBeUndefined();
  }
}, 3_600_000);

test.each<[string, { zombie?: TestSwitches; successor?: TestSwitches }]>([
  ['keeping away from what predecessors have reserved', { successor: { ignoreQuarantine: true } }],
  [
    'a look at the ring before what was reserved is used',
    { zombie: { skipReservationConfirm: true } },
  ],
  ['reading past the page cache in recovery', { successor: { cachedRecovery: true } }],
])('the zombie test notices when this is missing: %s', async (_, switches) => {
  let violation: string | undefined;
  for (let seed = 1; seed <= CATCHING_RUNS_MAX && violation === undefined; seed++) {
    violation = (await runZombie({ seed, ...switches })).violation;
  }
  expect(violation).toBeDefined();
});
