import { describe, expect, it } from 'vitest';

import { leaseStageAt, nextLookMs } from './lease-deadlines.ts';
import type { LeaseStage } from './lease-deadlines.ts';

const term = { sinceMonotonicMs: 1_000, sinceWallMs: 500_000, leaseMs: 5_000 };

function stageAfter(elapsedMs: number, wallElapsedMs = elapsedMs): LeaseStage {
  return leaseStageAt(term, { monotonicMs: 1_000 + elapsedMs, wallMs: 500_000 + wallElapsedMs });
}

describe('a lease of 5 s', () => {
  it.each([
    [0, 'sound'],
    [2_499, 'sound'],
    [2_500, 'terminate'],
    [3_999, 'terminate'],
    [4_000, 'kill'],
    [4_499, 'kill'],
    [4_500, 'overdue'],
    [60_000, 'overdue'],
  ] as const)('is, %i ms after the beat, in the stage %s', (elapsedMs, stage) => {
    expect(stageAfter(elapsedMs)).toBe(stage);
  });

  it('is in doubt when wall time has run ahead, and not when it was set back', () => {
    expect(stageAfter(1_000, 1_250)).toBe('sound');
    expect(stageAfter(1_000, 1_251)).toBe('doubtful');
    expect(stageAfter(3_000, 900_000)).toBe('doubtful');
    expect(stageAfter(1_000, -900_000)).toBe('sound');
  });

  it('is killed for what the monotonic clock says, whatever wall time does', () => {
    expect(stageAfter(4_200, 900_000)).toBe('kill');
    expect(stageAfter(4_200, -900_000)).toBe('kill');
  });

  it.each([
    [0, 250],
    [2_400, 100],
    [2_500, 250],
    [3_900, 100],
    [3_995, 10],
    [4_450, 50],
    [9_000, 250],
  ])('is looked at again, %i ms after the beat, in %i ms', (elapsedMs, lookMs) => {
    expect(nextLookMs(term, 1_000 + elapsedMs)).toBe(lookMs);
  });
});
