import { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import type { IndexRow } from './index-range.ts';
import { ChunkPool, NO_ENTRY } from './entry-arena.ts';
import { COVERED, MemTable } from './memtable.ts';
import { TreeEntry } from './tree-entry.ts';

const bytes = (count: number) => new Uint8Array(count);

test('a range delete hides what came before it and not what comes after', () => {
  const memtable = new MemTable();
  const early = TreeEntry.pointer(1, 10, 1, 0);
  memtable.set('b', early);
  memtable.set('d', early);
  const removed: IndexRow<TreeEntry>[] = [];
  memtable.deleteRange('a', 'c', (number) => {
    removed.push({ key: memtable.nameOf(number), entry: memtable.entryOf(number) });
  });
  expect(removed).toEqual([{ key: 'b', entry: early }]);
  expect(memtable.get('b')).toBe(COVERED);
  expect(memtable.get('bb')).toBe(COVERED);
  expect(memtable.get('c')).toBeUndefined();
  expect(memtable.get('d')).toEqual(early);
  const late = TreeEntry.pointer(3, 10, 1, 0);
  expect(memtable.set('b', late)).toBeUndefined();
  expect(memtable.get('b')).toEqual(late);
  expect(memtable.ranges.list()).toEqual([{ from: 'a', to: 'c' }]);
  memtable.deleteRange('c', 'c');
  expect(memtable.ranges.size).toBe(1);
});

test('deletes are entries of their own', () => {
  const memtable = new MemTable();
  const entry = TreeEntry.delete(5);
  memtable.set('a', entry);
  expect(memtable.get('a')).toEqual(entry);
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
  expect(snapshot.get('a')?.value).toEqual(bytes(3));
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
  expect(memtable.sizeBytes).toBeGreaterThan(dataBytes + 40 * rows.length);
  memtable.deleteRange('k', 'l');
  expect(memtable.dataBytes).toBe(0);
  // Only the interval is left; another one counts as much.
  const intervalBytes = memtable.sizeBytes;
  expect(intervalBytes).toBeGreaterThan(0);
  memtable.deleteRange('m', 'n');
  expect(memtable.sizeBytes).toBe(2 * intervalBytes);
  expect(memtable.isEmpty).toBe(false);
});

test('a value that is read stays as it was while its key gets others', () => {
  const memtable = new MemTable();
  memtable.set('a', TreeEntry.inline(1, bytes(8).fill(1)));
  const live = memtable.get('a');
  const snapshot = memtable.snapshot();
  const [row] = snapshot.rows({ from: '', reverse: false }, 1);
  memtable.set('a', TreeEntry.inline(2, bytes(8).fill(2)));
  memtable.set('a', TreeEntry.inline(3, bytes(6).fill(3)));
  memtable.set('a', TreeEntry.inline(4, bytes(400).fill(4)));
  expect(live?.value).toEqual(bytes(8).fill(1));
  expect(row?.entry.value).toEqual(bytes(8).fill(1));
  expect(snapshot.get('a')?.lsn).toBe(1);
  expect(memtable.get('a')?.value).toEqual(bytes(400).fill(4));
});

test('writing over a key takes no more room, but where a snapshot sees what was there', () => {
  const memtable = new MemTable();
  memtable.set('a', TreeEntry.inline(1, bytes(100)));
  const { sizeBytes } = memtable;
  for (let lsn = 2; lsn < 100; lsn++) memtable.set('a', TreeEntry.inline(lsn, bytes(lsn)));
  expect(memtable.sizeBytes).toBe(sizeBytes);
  memtable.snapshot();
  memtable.set('a', TreeEntry.inline(100, bytes(100)));
  expect(memtable.sizeBytes).toBeGreaterThan(sizeBytes);
});

test('what a key hides stays known while it gets other values', () => {
  const memtable = new MemTable();
  memtable.set('a', TreeEntry.delete(1));
  memtable.setShadow(memtable.numberOf('a'), 2 ** 40, 2 ** 31 + 1);
  const hidden = { shadowOrdinal: 2 ** 40, shadowBytes: 2 ** 31 + 1 };
  expect(memtable.set('a', TreeEntry.pointer(2, 9e6, 2 ** 50, 2 ** 40))).toMatchObject(hidden);
  const before = { kind: 2, valueBytes: 9e6, ordinal: 2 ** 50, ...hidden };
  expect(memtable.set('a', TreeEntry.inline(3, bytes(300)))).toMatchObject(before);
  memtable.deleteRange('a', 'b', (number) => {
    expect(memtable.look(number)).toMatchObject({ kind: 1, valueBytes: 300, ...hidden });
  });
  expect(memtable.numberOf('a')).toBe(NO_ENTRY);
});

test('unsettled entries are known by name, those that came and went not', () => {
  const memtable = new MemTable();
  for (const name of ['e', 'd', 'c', 'b', 'a']) memtable.set(name, TreeEntry.delete(1));
  expect(memtable.unsettledNames()).toEqual(['e', 'd', 'c', 'b', 'a']);
  memtable.setShadow(memtable.numberOf('e'), 0, 0);
  memtable.set('d', TreeEntry.inline(2, bytes(300)));
  memtable.deleteRange('b', 'c');
  memtable.set('bb', TreeEntry.delete(3));
  expect(memtable.unsettledCount).toBe(3);
  expect(memtable.unsettledNames()).toEqual(['c', 'a', 'd']);
  memtable.deleteRange('', 'z');
  expect(memtable.unsettledCount).toBe(0);
  expect(memtable.unsettledNames()).toEqual([]);
});

test('memory goes to the next memtable when nobody may look at it any more, and only then', () => {
  const pool = new ChunkPool(10_000_000);
  const fill = (first: number): MemTable => {
    const memtable = new MemTable(pool);
    for (let index = 0; index < 3000; index++) {
      memtable.set(`k${String(first + index)}`, TreeEntry.inline(first + index, bytes(200)));
    }
    return memtable;
  };
  const seen = fill(1000);
  const snapshot = seen.snapshot();
  seen.release();
  const alone = fill(5000);
  expect(snapshot.rows({ from: '', reverse: false }, 9999).map(({ entry }) => entry.lsn)).toEqual(
    Array.from({ length: 3000 }, (_, index) => 1000 + index),
  );
  const chunk = alone.arena.bytesOf(alone.numberOf('k5000'));
  alone.release();
  expect(() => alone.get('k5000')).toThrow(TypeError);
  const next = fill(10_000);
  const names = Array.from({ length: 3000 }, (_, index) => `k${String(10_000 + index)}`);
  expect(names.map((name) => next.arena.bytesOf(next.numberOf(name)))).toContain(chunk);
});
