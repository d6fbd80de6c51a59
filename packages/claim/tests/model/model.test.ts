/** The model, bounded to what a test run can afford; `npm run check:claim-model` explores more. */
import { describe, expect, test } from 'vitest';
import { explore } from './explore.ts';
import { OMISSION_RUNS, QUICK_RUNS } from './runs.ts';

describe('every interleaving of claimants keeps every rule', () => {
  test.each(QUICK_RUNS)('$name', ({ config }) => {
    const { breach, states, ends, isCutOff } = explore(config);
    expect(breach).toBeUndefined();
    expect(isCutOff).toBe(false);
    expect(states).toBeGreaterThan(10_000);
    expect(ends).toBeGreaterThan(0);
  });
});

describe('some interleaving breaks a rule', () => {
  test.each(OMISSION_RUNS)('with this left out: $without', (config) => {
    const { breach } = explore(config);
    expect(breach?.rule).toMatch(/two claims|overwritten|lower claim again|nobody|offered/);
    expect(breach?.trace.length).toBeGreaterThan(5);
  });
});
