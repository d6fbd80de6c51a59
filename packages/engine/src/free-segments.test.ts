import { expect, test } from 'vitest';
import { FreeSegments } from './free-segments.ts';

function freeSegments(segments: readonly number[], discarded: readonly number[]): FreeSegments {
  const free = new FreeSegments();
  for (const segment of segments) free.add(segment);
  for (const segment of discarded) free.addDiscarded(segment);
  return free;
}

test('what has been free for longest is taken first, and what was discarded last of all', () => {
  const free = freeSegments([3, 1, 2], [8, 9]);
  expect(free.take(2)).toEqual([3, 1]);
  free.add(3);
  expect([free.count, free.undiscardedCount]).toEqual([4, 2]);
  expect(free.take(10)).toEqual([2, 3, 9, 8]);
  expect(free.count).toBe(0);
});

test('what is to be discarded is what would be taken last', () => {
  const free = freeSegments([0, 1, 2, 3], [9]);
  expect(free.take(1)).toEqual([0]);
  expect(free.takeUndiscarded(2)).toEqual([2, 3]);
  expect(free.takeUndiscarded(2)).toEqual([1]);
  expect(free.take(2)).toEqual([9]);
});

test('the order stays when thousands have been taken', () => {
  const segments = Array.from({ length: 5000 }, (_, index) => index);
  const free = freeSegments(segments, []);
  expect(free.take(4000)).toEqual(segments.slice(0, 4000));
  free.add(7);
  expect(free.take(5000)).toEqual([...segments.slice(4000), 7]);
});
