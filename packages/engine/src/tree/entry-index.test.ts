/** The index and the arena of a memtable against a sorted map. */
import { SeededRandom } from '@dozo/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemTable } from './memtable.ts';
import type { MemTableView } from './memtable.ts';
import { TreeEntry } from './tree-entry.ts';

/** By name the LSN of its entry. */
type Model = ReadonlyMap<string, number>;

function sorted(model: Model): [string, number][] {
  return [...model].sort(([left], [right]) => (left < right ? -1 : 1));
}

function expectSame(view: MemTableView, model: Model): void {
  expect(view.entryCount).toBe(model.size);
  const rows = view.rows({ from: '', reverse: false }, Number.POSITIVE_INFINITY);
  expect(rows.map(({ key, entry }) => [key, entry.lsn])).toEqual(sorted(model));
  for (const [name, lsn] of model) expect(view.get(name)?.lsn).toBe(lsn);
}

/** An entry of some kind and length. */
function entryOf(random: SeededRandom, lsn: number): TreeEntry {
  if (random.chance(0.2)) return TreeEntry.delete(lsn);
  if (random.chance(0.3)) return TreeEntry.pointer(lsn, 1000, random.below(9), 64);
  return TreeEntry.inline(lsn, new Uint8Array(random.below(60)).fill(lsn));
}

test.each([60, 3000, 12_000])(
  'behaves as a sorted map of up to %i keys, ranges are removed, and snapshots do not change',
  (keys) => {
    const random = new SeededRandom(keys);
    const memtable = new MemTable();
    const model = new Map<string, number>();
    // Keys share long begins, and differ before and behind places where they are the same.
    const nameOf = (number: number) =>
      `bucket/${number % 3 === 0 ? 'with/a/longer/path' : 'p'}/${String(number).padStart(6, '0')}/x`;
    let lsn = 0;
    for (let round = 0; round < 40; round++) {
      const isInOrder = random.chance(0.3);
      const start = random.below(keys);
      for (let step = 0; step < keys / 4; step++) {
        const key = nameOf(isInOrder ? start + step : random.below(keys));
        const isKnown = model.has(key);
        expect(memtable.set(key, entryOf(random, ++lsn)) !== undefined).toBe(isKnown);
        model.set(key, lsn);
      }
      const isLooked = keys <= 100 || round % 8 === 0;
      const snapshot = isLooked ? memtable.snapshot() : undefined;
      const then = new Map(model);
      const low = random.below(keys);
      const [from = '', to = ''] = [
        nameOf(low),
        nameOf(low + random.below(random.chance(0.2) ? keys : 60)),
      ].sort();
      const inside = sorted(model).filter(([key]) => key >= from && key < to);
      const removed: [string, number][] = [];
      memtable.deleteRange(from, to, (number) => {
        removed.push([memtable.nameOf(number), memtable.entryOf(number).lsn]);
      });
      expect(removed).toEqual(inside);
      for (const [key] of inside) model.delete(key);
      if (snapshot === undefined) continue;
      expectSame(snapshot, then);
      expectSame(memtable, model);
    }
    memtable.deleteRange('', '\xff');
    expect(memtable.entryCount).toBe(0);
    expect(memtable.rows({ from: '', reverse: false }, 10)).toEqual([]);
  },
);

test('any keys compare as their bytes do', () => {
  const byte = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff);
  const name = fc
    .array(byte, { minLength: 1, maxLength: 9 })
    .map((bytes) => String.fromCharCode(...bytes));
  const names = fc.array(name, { maxLength: 300 });
  fc.assert(
    fc.property(names, name, name, fc.boolean(), (all, from, to, reverse) => {
      const memtable = new MemTable();
      for (const [lsn, one] of all.entries()) memtable.set(one, TreeEntry.delete(lsn));
      for (const one of new Set(all)) {
        expect(memtable.get(one)?.lsn).toBe(all.lastIndexOf(one));
      }
      expect(memtable.get(from) !== undefined).toBe(all.includes(from));
      const inside = [...new Set(all)].filter((one) => one >= from && one < to).sort();
      if (reverse) inside.reverse();
      const rows = memtable.rows({ from, to, reverse }, 1000);
      expect(rows.map(({ key }) => key)).toEqual(inside);
    }),
    { numRuns: 300 },
  );
});

test('ranges are half open, may be reversed and are cut at the limit', () => {
  const random = new SeededRandom('ranges');
  const memtable = new MemTable();
  const keys = Array.from({ length: 500 }, (_, number) => `k${String(number).padStart(3, '0')}`);
  for (const key of keys) memtable.set(key, TreeEntry.delete(1));
  for (let round = 0; round < 300; round++) {
    const from = `k${String(random.below(520)).padStart(3, '0')}`;
    const to = random.chance(0.2) ? undefined : `k${String(random.below(520)).padStart(3, '0')}`;
    const limit = random.chance(0.5) ? random.below(40) : 1000;
    const reverse = random.chance(0.5);
    const inside = keys.filter((key) => key >= from && (to === undefined || key < to));
    const expected = (reverse ? inside.reverse() : inside).slice(0, limit);
    const rows = memtable.rows({ from, to, reverse }, limit);
    expect(rows.map(({ key }) => key)).toEqual(expected);
  }
});

test('the longest keys and values lie in it as they are', () => {
  const random = new SeededRandom('long');
  const memtable = new MemTable();
  const model = new Map<string, number>();
  for (let lsn = 1; lsn < 3000; lsn++) {
    const key = `${'x'.repeat(random.pick([1, 1529]))}${String(random.below(600) + 1000)}yy`;
    memtable.set(key, TreeEntry.inline(lsn, new Uint8Array(random.below(512)).fill(lsn)));
    model.set(key, lsn);
  }
  expectSame(memtable, model);
});
