import { bytesOfBinaryString, SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { TablesInMemory } from '../../tests/tables-in-memory.ts';
import { MemTable } from './memtable.ts';
import { RangeSet } from './range-set.ts';
import type { TableLookup } from './table-lookup.ts';
import { TreeEntry } from './tree-entry.ts';
import { TreeView } from './tree-view.ts';
import { LEVEL_LAST, Version } from './version.ts';
import type { Run } from './version.ts';

const ALL = { from: '', reverse: false };

function nameOf(number: number): string {
  return `k${String(number).padStart(6, '0')}`;
}

function entryOf(lsn: number): TreeEntry {
  return TreeEntry.pointer(lsn, 1, 1, 1);
}

function deleteOf(lsn: number): TreeEntry {
  return TreeEntry.delete(lsn);
}

function tablesInMemory(promiseChance = 0): TablesInMemory {
  return new TablesInMemory(new SeededRandom('view'), promiseChance);
}

/** A run with an entry for each of these numbers. */
function runOf(
  tables: TablesInMemory,
  numbers: readonly number[],
  make: (lsn: number) => TreeEntry,
  ranges = RangeSet.EMPTY,
): Run {
  const rows = numbers.map((number) => ({ key: nameOf(number), entry: make(number) }));
  return tables.write({ rows, ranges }, { rowsMax: 100 });
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

function viewOf(lookup: TableLookup, levels: Run[][], memtables: MemTable[] = []): TreeView {
  return new TreeView({
    memtables,
    version: Version.of(1, levels),
    lookup,
    breathe: () => Promise.resolve(),
  });
}

function lastLevel(run: Run): Run[][] {
  return [...new Array<Run[]>(LEVEL_LAST).fill([]), [run]];
}

test('what a memtable decides is answered at once and asks no table', () => {
  const tables = tablesInMemory(1);
  const memtable = new MemTable();
  const entry = entryOf(1);
  memtable.set(nameOf(1), entry);
  memtable.set(nameOf(2), TreeEntry.delete(2));
  memtable.deleteRange(nameOf(3), nameOf(4));
  const view = viewOf(tables, lastLevel(runOf(tables, upTo(10), entryOf)), [memtable]);
  expect(view.get(nameOf(1))).toStrictEqual(entry);
  expect(view.get(nameOf(2))).toBeUndefined();
  expect(view.get(nameOf(3))).toBeUndefined();
  expect(tables.getCount).toBe(0);
  expect(view.get(nameOf(4))).toBeInstanceOf(Promise);
});

test('what is in memory is answered at once, from the tables in whose bounds the key lies', () => {
  const tables = tablesInMemory();
  const levels = lastLevel(runOf(tables, upTo(1000), entryOf));
  levels[0] = [runOf(tables, [500, 501], deleteOf), runOf(tables, [700], entryOf)];
  const view = viewOf(tables, levels);
  expect(view.get(nameOf(100), bytesOfBinaryString(nameOf(100)))).toEqual(entryOf(100));
  expect(tables.getCount).toBe(1);
  expect(view.get(nameOf(500))).toBeUndefined();
  expect(tables.getCount).toBe(2);
  expect(view.get(`${nameOf(500)}x`)).toBeUndefined();
  expect(tables.getCount).toBe(4);
  expect(view.get('z')).toBeUndefined();
  expect(tables.getCount).toBe(4);
  expect(view.rows(ALL, 5)).toHaveLength(5);
  expect(viewOf(tables, []).get('a')).toBeUndefined();
});

test.each([0, 1])(
  'a range delete hides older tables and not its own (promises: %i)',
  async (chance) => {
    const tables = tablesInMemory(chance);
    const ranges = RangeSet.EMPTY.add(nameOf(2), nameOf(8));
    const levels = lastLevel(runOf(tables, upTo(10), entryOf));
    levels[0] = [runOf(tables, [3], () => entryOf(99), ranges)];
    const view = viewOf(tables, levels);
    expect(await view.get(nameOf(1))).toEqual(entryOf(1));
    expect(await view.get(nameOf(2))).toBeUndefined();
    expect(await view.get(nameOf(3))).toEqual(entryOf(99));
    expect(await view.get(nameOf(8))).toEqual(entryOf(8));
    for (const reverse of [false, true]) {
      const expected = [0, 1, 3, 8, 9].map(nameOf);
      if (reverse) expected.reverse();
      const rows = await view.rows({ from: '', reverse }, 100);
      expect(rows.map(({ key }) => key)).toEqual(expected);
    }
  },
);

test.each([false, true])(
  'a walk reads no more than its limit needs (reverse: %s)',
  async (reverse) => {
    const tables = tablesInMemory();
    const odd = upTo(2000).map((number) => 2 * number + 1);
    const levels = lastLevel(runOf(tables, upTo(4000), entryOf));
    levels[0] = [runOf(tables, odd, entryOf)];
    const rows = await viewOf(tables, levels).rows(
      { from: nameOf(1050), to: nameOf(2950), reverse },
      4,
    );
    const expected = reverse ? [2949, 2948, 2947, 2946] : [1050, 1051, 1052, 1053];
    expect(rows.map(({ key }) => key)).toEqual(expected.map(nameOf));
    expect(tables.rowCount).toBeLessThanOrEqual(4 + 2 + 2);
    expect(tables.cursorCount).toBe(2);
    expect(await viewOf(tables, levels).rows(ALL, 0)).toEqual([]);
    expect(await viewOf(tables, levels).rows({ from: 'b', to: 'b', reverse }, 9)).toEqual([]);
  },
);

test.each([false, true])(
  'a walk jumps over what a range delete covers (reverse: %s)',
  async (reverse) => {
    const tables = tablesInMemory();
    const memtable = new MemTable();
    memtable.deleteRange(nameOf(10), nameOf(9990));
    const view = viewOf(tables, lastLevel(runOf(tables, upTo(10_000), entryOf)), [memtable]);
    const rows = await view.rows({ from: '', reverse }, 100);
    expect(rows).toHaveLength(20);
    expect(tables.rowCount).toBeLessThan(50);
  },
);

test('a walk opens nothing when the range delete reaches past its end', async () => {
  const tables = tablesInMemory();
  const memtable = new MemTable();
  memtable.deleteRange(nameOf(10), nameOf(60));
  const view = viewOf(tables, lastLevel(runOf(tables, upTo(100), entryOf)), [memtable]);
  expect(await view.rows({ from: '', to: nameOf(50), reverse: false }, 100)).toHaveLength(10);
  expect(tables.cursorCount).toBe(1);
});

test('a long walk over deletes lets others have the thread', async () => {
  const tables = tablesInMemory();
  const levels = lastLevel(runOf(tables, upTo(10_000), entryOf));
  levels[0] = [runOf(tables, upTo(9999), deleteOf)];
  let breathCount = 0;
  const view = new TreeView({
    memtables: [],
    version: Version.of(1, levels),
    lookup: tables,
    breathe: () => {
      breathCount++;
      return Promise.resolve();
    },
  });
  const rows = await view.rows(ALL, 10);
  expect(rows.map(({ key }) => key)).toEqual([nameOf(9999)]);
  expect(breathCount).toBeGreaterThanOrEqual(4);
});

test('pages are bounded, and together they are all there is', async () => {
  const tables = tablesInMemory(0.1);
  const view = viewOf(tables, lastLevel(runOf(tables, upTo(1024), entryOf)));
  const counts: number[] = [];
  for await (const page of view.entries(ALL)) counts.push(page.length);
  expect(counts).toEqual([256, 256, 256, 256]);
  for await (const page of view.entries({ from: 'b', to: 'a', reverse: false })) {
    expect(page).toEqual([]);
  }
});

test('what cannot be read rejects', async () => {
  const failed = new Error('unreadable');
  const tables = tablesInMemory();
  const levels = lastLevel(runOf(tables, upTo(10), entryOf));
  const view = viewOf(
    {
      get: () => Promise.reject(failed),
      ranges: () => Promise.reject(failed),
      cursor: () => ({ key: '', entry: entryOf(1), next: () => Promise.reject(failed) }),
    },
    levels,
  );
  await expect(view.get(nameOf(1))).rejects.toBe(failed);
  await expect(view.rows(ALL, 1)).rejects.toBe(failed);
  await expect(view.entries(ALL).next()).rejects.toBe(failed);
});
