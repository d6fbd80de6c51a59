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
