import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RangeSet } from './range-set.ts';

const KEYS = 'abcdefghijklmnopqrstuvwxyz'.split('');
const interval = fc
  .tuple(fc.constantFrom(...KEYS), fc.constantFrom(...KEYS))
  .map(([from, to]) => ({ from, to }));
const intervals = fc.array(interval, { maxLength: 12 });

function coveredBy(list: readonly { from: string; to: string }[]): string[] {
  return KEYS.filter((key) => list.some(({ from, to }) => from <= key && key < to));
}

function expectProper(set: RangeSet): void {
  for (const [at, { from, to }] of set.list().entries()) {
    expect(from < to).toBe(true);
    const before = set.list()[at - 1];
    if (before !== undefined) expect(before.to < from).toBe(true);
  }
  expect(set.size).toBe(set.list().length);
  expect(set.isEmpty).toBe(set.size === 0);
}

test('a set covers what its intervals cover, however it came about', () => {
  fc.assert(
    fc.property(intervals, (list) => {
      let added = RangeSet.EMPTY;
      for (const { from, to } of list) {
        const before = added;
        const listBefore = before.list();
        added = before.add(from, to);
        expect(before.list()).toBe(listBefore);
      }
      for (const set of [added, RangeSet.of(list)]) {
        expectProper(set);
        expect(KEYS.filter((key) => set.covers(key))).toEqual(coveredBy(list));
      }
      expect(added.list()).toEqual(RangeSet.of(list).list());
    }),
  );
});

test('a union covers what either covers, and a clip what lies inside', () => {
  fc.assert(
    fc.property(
      intervals,
      intervals,
      interval,
      fc.boolean(),
      (left, right, { from, to }, isOpen) => {
        const union = RangeSet.of(left).union(RangeSet.of(right));
        expectProper(union);
        expect(KEYS.filter((key) => union.covers(key))).toEqual(coveredBy([...left, ...right]));
        const clip = union.clip(from, isOpen ? undefined : to);
        expectProper(clip);
        expect(KEYS.filter((key) => clip.covers(key))).toEqual(
          coveredBy([...left, ...right]).filter((key) => key >= from && (isOpen || key < to)),
        );
      },
    ),
  );
});

test('the interval around a key is found, or else the one after it', () => {
  const set = RangeSet.of([
    { from: 'b', to: 'd' },
    { from: 'f', to: 'g' },
  ]);
  expect(set.covering('c')).toEqual({ from: 'b', to: 'd' });
  expect(set.covering('d')).toBeUndefined();
  expect(set.firstEndingPast('d')).toEqual({ from: 'f', to: 'g' });
  expect(set.firstEndingPast('g')).toBeUndefined();
  expect(RangeSet.EMPTY.covering('a')).toBeUndefined();
});

test('an interval that is there already gives the same set', () => {
  const set = RangeSet.EMPTY.add('b', 'f');
  expect(set.add('c', 'd')).toBe(set);
  expect(set.add('d', 'd')).toBe(set);
  expect(set.add('f', 'g').list()).toEqual([{ from: 'b', to: 'g' }]);
});
