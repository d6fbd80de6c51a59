import { expect, test } from 'vitest';
import { RetiredSegments } from './retired-segments.ts';

function newRetired(): { readonly retired: RetiredSegments; readonly unread: number[] } {
  const unread: number[] = [];
  return { retired: new RetiredSegments((segment) => unread.push(segment)), unread };
}

test('a segment is let go when the last reader has left that began before its retirement', () => {
  const { retired, unread } = newRetired();
  retired.add(1);
  expect(unread).toEqual([1]);
  const first = retired.enter(true);
  retired.add(2);
  const second = retired.enter(true);
  retired.add(3);
  retired.leave(second, true);
  expect(unread).toEqual([1]);
  expect(retired.count).toBe(2);
  retired.leave(first, true);
  expect(unread).toEqual([1, 2, 3]);
});

test('a later reader keeps only what was retired after it began', () => {
  const { retired, unread } = newRetired();
  const first = retired.enter(true);
  retired.add(2);
  const second = retired.enter(false);
  retired.add(3);
  retired.leave(first, true);
  expect(unread).toEqual([2]);
  retired.leave(second, false);
  expect(unread).toEqual([2, 3]);
});

test('a reader within another one keeps what that one keeps, and may outlive it', () => {
  const { retired, unread } = newRetired();
  const outer = retired.enter(false);
  retired.add(5);
  const inner = retired.enter(true, outer);
  retired.leave(outer, false);
  expect(unread).toEqual([]);
  retired.leave(inner, true);
  expect(unread).toEqual([5]);
});

test('only for readers that end by themselves does anybody wait', async () => {
  const { retired } = newRetired();
  const snapshot = retired.enter(false);
  retired.add(4);
  expect(retired.nextRelease()).toBeUndefined();
  const short = retired.enter(true);
  const release = retired.nextRelease();
  expect(release).toBeDefined();
  retired.leave(short, true);
  await release;
  retired.leave(snapshot, false);
  expect(retired.nextRelease()).toBeUndefined();
});
