/** Seeded schedules; `npm run check:claim-schedules` runs a hundred times as many. */
import { describe, expect, test } from 'vitest';
import type { ClaimSwitches } from '../../src/index.ts';
import { runSchedule } from './schedule.ts';

const SEEDS_PER_TEST = 250;

describe('claimants of one disk, whatever comes between them', () => {
  test.each([0, 250, 500, 750])(
    'never hold at once, and get it in the end, from seed %i on',
    async (firstSeed) => {
      let entryCount = 0;
      let excusedCount = 0;
      for (let seed = firstSeed; seed < firstSeed + SEEDS_PER_TEST; seed++) {
        const { surprise, doubleHold, noProgress, isExcused, ...report } = await runSchedule(seed);
        entryCount += report.entryCount;
        if (isExcused) excusedCount++;
        const found = surprise ?? (isExcused ? undefined : (doubleHold ?? noProgress));
        expect(found, `seed ${seed}`).toBeUndefined();
      }
      expect(entryCount).toBeGreaterThan(2 * SEEDS_PER_TEST);
      expect(excusedCount).toBeLessThan(SEEDS_PER_TEST / 10);
    },
  );

  test('do the same again with the same seed', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const [first, second] = [await runSchedule(seed), await runSchedule(seed)];
      expect(second).toEqual(first);
    }
  });

  test('differ with the seed', async () => {
    const hashes = new Set<number>();
    for (let seed = 0; seed < 20; seed++) hashes.add((await runSchedule(seed)).traceHash);
    expect(hashes.size).toBe(20);
  });
});

/** The first seed that shows what each rule is for, and within how many one must. */
const CONTROLS: readonly {
  readonly name: string;
  readonly switches: ClaimSwitches;
  readonly seed: number;
  readonly within: number;
}[] = [
  { name: 'the watch', switches: { skipWatch: true }, seed: 81, within: 500 },
  {
    name: 'the look after the claim',
    switches: { skipReadAfterClaim: true },
    seed: 0,
    within: 20,
  },
  { name: 'the lease check', switches: { skipLeaseCheck: true }, seed: 25, within: 200 },
  {
    name: 'the order of a beat, the write before the look',
    switches: { readBeforeBeat: true },
    seed: 102,
    within: 700,
  },
];

describe.each(CONTROLS)('without $name', ({ switches, seed, within }) => {
  test('two hold at once', async () => {
    const { doubleHold, isExcused } = await runSchedule(seed, { switches });
    expect(doubleHold).toMatch(/hold at/);
    expect(isExcused).toBe(false);
  });

  test('the same schedule is harmless with it', async () => {
    expect(await runSchedule(seed)).not.toHaveProperty('doubleHold');
  });

  test('a search finds it, whatever has shifted the seeds', async () => {
    let found = false;
    for (let tried = 0; tried < within && !found; tried++) {
      const { doubleHold, isExcused } = await runSchedule(`search/${tried}`, { switches });
      found = doubleHold !== undefined && !isExcused;
    }
    expect(found).toBe(true);
  });
});
