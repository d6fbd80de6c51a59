import { SeededRandom } from '@dozo/base';
import { expect, test, vi } from 'vitest';
import type { TableMeta } from '../table/table-meta.ts';
import { RunFinder } from './run-finder.ts';
import {
  hasRanges,
  LEVEL_COUNT,
  LEVEL_LAST,
  overlapping,
  overlaps,
  problemInLevels,
  Version,
} from './version.ts';

const PLACE = { offset: 0, sizeBytes: 1 };

function table(number: number, smallest: string, end: string, rangeCount = 0): TableMeta {
  return {
    ...{ number, segment: 0, ordinal: 0, offset: 0, seed: 0, sizeBytes: 10 },
    ...{ filter: PLACE, ranges: undefined, index: PLACE, entryCount: 1, deleteCount: 0 },
    ...{ pointerCount: 0, rangeCount, dataBytes: 0, lsnMax: 0, smallest, end },
  };
}

const numbers = (tables: readonly TableMeta[]) => tables.map(({ number }) => number);

test('a table of a run is found by a key in its bounds, and by a range that has a part of them', () => {
  const run = [table(1, 'b', 'd'), table(2, 'd', 'f'), table(3, 'h', 'k')];
  const finder = new RunFinder(run);
  expect(finder.tableFor('a')).toBeUndefined();
  expect(finder.tableFor('c')?.number).toBe(1);
  expect(finder.tableFor('d')?.number).toBe(2);
  expect(finder.tableFor('g')).toBeUndefined();
  expect(finder.tableFor('k')).toBeUndefined();
  const ranges: [string, string | undefined, number[]][] = [
    ['', undefined, [1, 2, 3]],
    ['c', 'e', [1, 2]],
    ['d', 'h', [2]],
    ['f', 'h', []],
    ['f', 'i', [3]],
    ['k', undefined, []],
    ['', 'b', []],
  ];
  for (const [from, to, expected] of ranges) {
    expect(numbers(overlapping(run, from, to))).toEqual(expected);
    expect(overlaps(run, from, to)).toBe(expected.length > 0);
  }
});

test('a change gives a new version and leaves the old one', () => {
  const first = Version.empty().withChange({
    add: [{ level: 0, tables: [table(1, 'a', 'c'), table(2, 'c', 'e')] }],
    remove: [],
  });
  const second = first.withChange({
    add: [{ level: 0, tables: [table(3, 'b', 'd')] }],
    remove: [],
  });
  expect(second.runs.map(numbers)).toEqual([[3], [1, 2]]);
  const third = second.withChange({
    add: [{ level: LEVEL_LAST, tables: [table(5, 'c', 'e'), table(4, 'a', 'c')] }],
    remove: [1, 2],
  });
  expect(third.runs.map(numbers)).toEqual([[3], [4, 5]]);
  const fourth = third.withChange({
    add: [{ level: LEVEL_LAST, tables: [table(6, 'e', 'f'), table(7, '', 'a')] }],
    remove: [3],
  });
  expect(fourth.runs.map(numbers)).toEqual([[7, 4, 5, 6]]);
  expect(first.runs.map(numbers)).toEqual([[1, 2]]);
  expect(first.levels[LEVEL_LAST]).toBe(second.levels[LEVEL_LAST]);
  expect([fourth.number, fourth.tableCount, fourth.sizeBytes]).toEqual([4, 4, 40]);
  expect(numbers([...third.tables()])).toEqual([3, 4, 5]);
});

test('the largest table is counted once for each version', () => {
  const sized = (number: number, sizeBytes: number): TableMeta => ({
    ...table(number, 'a', 'c'),
    sizeBytes,
  });
  expect(Version.empty().largestTableBytes).toBe(0);
  const first = Version.of(0, [[[sized(1, 20)]], [[sized(2, 30)]]]);
  const walks = vi.spyOn(first, 'tables');
  expect([first.largestTableBytes, first.largestTableBytes]).toEqual([30, 30]);
  expect(walks).toHaveBeenCalledTimes(1);
  const second = first.withChange({ add: [], remove: [2] });
  expect([first.largestTableBytes, second.largestTableBytes]).toEqual([30, 20]);
});

test('a change that cannot be is an assertion', () => {
  const version = Version.empty().withChange({
    add: [{ level: 2, tables: [table(1, 'a', 'c')] }],
    remove: [],
  });
  expect(() => version.withChange({ add: [], remove: [2] })).toThrow('are there');
  expect(() => version.withChange({ add: [], remove: [1, 1] })).toThrow('once');
  const overlap = { level: 2, tables: [table(3, 'b', 'd')] };
  expect(() => version.withChange({ add: [overlap], remove: [] })).toThrow('overlap');
});

test('levels from a device are looked at', () => {
  const a = table(1, 'a', 'c');
  const b = table(2, 'c', 'd');
  expect(
    problemInLevels([[[a, b], [table(3, 'a', 'z')]], [], [[table(4, 'a', 'b')]]]),
  ).toBeUndefined();
  expect(problemInLevels([[[b, a]]])).toContain('not in order');
  expect(problemInLevels([[[table(1, 'c', 'c')]]])).toContain('empty bounds');
  expect(problemInLevels([[[]]])).toContain('without tables');
  expect(problemInLevels([[[a], [a]]])).toContain('twice');
  expect(problemInLevels([[], [[a], [b]]])).toContain('several runs');
  expect(problemInLevels(new Array<[]>(LEVEL_COUNT + 1).fill([]))).toContain('levels');
  expect(() => Version.of(7, [[[b, a]]])).toThrow('not in order');
  const version = Version.of(7, [[[a], [b]], [[table(5, 'a', 'b')]]]);
  expect(version.number).toBe(7);
  expect(version.levels).toHaveLength(LEVEL_COUNT);
});

test('a run knows whether it has range deletes', () => {
  expect(hasRanges([table(1, 'a', 'b')])).toBe(false);
  expect(hasRanges([table(1, 'a', 'b'), table(2, 'b', 'c', 1)])).toBe(true);
});

test.each(['', 'objects/', 'a\0\0'])(
  'finds in a long run of keys with %j what a walk finds',
  (prefix) => {
    const random = new SeededRandom(prefix);
    const keys = new Set<string>();
    while (keys.size < 400) {
      const bytes = Array.from({ length: random.below(9) }, () => random.pick([0, 1, 97, 98, 255]));
      keys.add(prefix + String.fromCharCode(...bytes));
    }
    const sorted = [...keys].sort();
    const run: TableMeta[] = [];
    for (let at = 0; at + 3 < 300; at += 3) {
      // Some of the tables touch, and between others there is a gap.
      const [smallest = '', end = ''] = [sorted[at], sorted[at + (at % 2 === 0 ? 3 : 2)]];
      run.push(table(at, smallest, end));
    }
    const finder = new RunFinder(run);
    for (const key of [...sorted, '', 'object', 'objects', '\xff', `${prefix}\0`]) {
      const found = run.find(({ smallest, end }) => smallest <= key && key < end);
      expect(finder.tableFor(key)?.number, JSON.stringify(key)).toBe(found?.number);
    }
  },
);
