import { expect, test } from 'vitest';
import { SegmentTable } from './segment-table.ts';

test('a segment is free once, also when whoever is told of it retires another', () => {
  const segments = new SegmentTable(4);
  segments.finishRecovery(new Set(), new Set());
  const [first = -1, second = -1] = segments.reserve(2);
  segments.open(first, 1, 0, 'tables');
  segments.open(second, 2, 0, 'tables');
  let toldCount = 0;
  segments.onFree = () => {
    toldCount++;
    if (toldCount === 1) segments.close(second, 4096);
  };
  segments.close(first, 4096);
  expect(toldCount).toBe(2);
  expect(segments.unreservedCount).toBe(4);
  expect(new Set(segments.reserve(4)).size).toBe(4);
});

test('who waits for free segments is told of those that have been discarded', () => {
  const segments = new SegmentTable(6);
  segments.finishRecovery(new Set(), new Set());
  const taken = segments.reserveUndiscarded(3);
  expect(segments.unreservedCount).toBe(3);
  const seen: number[] = [];
  segments.onFree = () => seen.push(segments.unreservedCount);
  segments.unreserve(taken, 2);
  expect(seen).toEqual([6]);
});

test('only what is written, and neither needed, quarantined nor damaged, may be emptied', () => {
  const segments = new SegmentTable(6);
  for (let segment = 0; segment < 4; segment++) {
    segments.restore({ segment, ordinal: segment + 1, seed: 0, end: 16 * 4096 });
    segments.addLive(segment, 4096);
  }
  segments.finishRecovery(new Set([1]), new Set([2]));
  segments.markDamaged(3);
  const [open = -1] = segments.reserve(1);
  segments.open(open, 7, 0, 'tables');
  segments.addLive(open, 4096);
  const emptied = () => [0, 1, 2, 3, 4, 5].filter((segment) => segments.mayBeEmptied(segment));
  const deadBytes = 14 * 4096;
  expect(emptied()).toEqual([0]);
  expect(segments.reclaimableBytes).toBe(deadBytes);
  segments.setNeeded(new Set());
  expect(emptied()).toEqual([0, 1]);
  segments.setQuarantined(new Set());
  expect(emptied()).toEqual([0, 1, 2]);
  expect(segments.reclaimableBytes).toBe(3 * deadBytes);
  segments.close(open, 16 * 4096);
  expect(emptied()).toEqual([0, 1, 2, open]);
});
