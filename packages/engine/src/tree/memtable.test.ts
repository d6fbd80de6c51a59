import { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { COVERED, MemTable } from './memtable.ts';
import { TreeEntry } from './tree-entry.ts';

const bytes = (count: number) => new Uint8Array(count);

test('a range delete hides what came before it and not what comes after', () => {
  const memtable = new MemTable();
  const early = TreeEntry.pointer(1, 10, 1, 0);
  memtable.set('b', early);
  memtable.set('d', early);
  expect(memtable.deleteRange('a', 'c')).toEqual([{ key: 'b', entry: early }]);
  expect(memtable.get('b')).toBe(COVERED);
  expect(memtable.get('bb')).toBe(COVERED);
  expect(memtable.get('c')).toBeUndefined();
  expect(memtable.get('d')).toBe(early);
  const late = TreeEntry.pointer(3, 10, 1, 0);
  expect(memtable.set('b', late)).toBeUndefined();
  expect(memtable.get('b')).toBe(late);
  expect(memtable.ranges.list()).toEqual([{ from: 'a', to: 'c' }]);
  expect(memtable.deleteRange('c', 'c')).toEqual([]);
});

test('deletes are entries of their own', () => {
  const memtable = new MemTable();
  const entry = TreeEntry.delete(5);
  memtable.set('a', entry);
  expect(memtable.get('a')).toBe(entry);
  expect(memtable.rows({ from: '', reverse: false }, 10)).toEqual([{ key: 'a', entry }]);
  expect(memtable.entryCount).toBe(1);
});

test('a snapshot does not change', () => {
  const memtable = new MemTable();
  const entry = TreeEntry.inline(1, bytes(3));
  memtable.set('a', entry);
  memtable.set('b', entry);
  const snapshot = memtable.snapshot();
  memtable.deleteRange('a', 'b');
  memtable.set('c', entry);
  expect(snapshot.get('a')).toBe(entry);
  expect(snapshot.get('c')).toBeUndefined();
  expect(snapshot.ranges.isEmpty).toBe(true);
  expect(snapshot.entryCount).toBe(2);
  expect(memtable.get('a')).toBe(COVERED);
});

test('sizes go up and down with what is in it, and range deletes count', () => {
  const random = new SeededRandom('sizes');
  const memtable = new MemTable();
  expect(memtable.isEmpty).toBe(true);
  const names = Array.from({ length: 200 }, (_, number) => `k${String(number + 100)}`);
  for (let step = 0; step < 1000; step++) {
    const name = names[random.below(names.length)] ?? '';
    const entry = random.chance(0.5)
      ? TreeEntry.inline(step, bytes(random.below(100)))
      : TreeEntry.pointer(step, 100_000, 1, 1);
    memtable.set(name, entry);
  }
  const rows = memtable.rows({ from: '', reverse: false }, 1000);
  let dataBytes = 0;
  for (const { key, entry } of rows) dataBytes += key.length + entry.value.length;
  expect(memtable.dataBytes).toBe(dataBytes);
  expect(memtable.sizeBytes).toBeGreaterThan(dataBytes + 100 * rows.length);
  memtable.deleteRange('k', 'l');
  expect(memtable.dataBytes).toBe(0);
  // Only the interval is left; another one counts as much.
  const intervalBytes = memtable.sizeBytes;
  expect(intervalBytes).toBeGreaterThan(0);
  memtable.deleteRange('m', 'n');
  expect(memtable.sizeBytes).toBe(2 * intervalBytes);
  expect(memtable.isEmpty).toBe(false);
});
