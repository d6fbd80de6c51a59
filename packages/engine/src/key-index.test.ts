import { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { TreeIndex } from './key-index.ts';
import type { IndexView } from './key-index.ts';

/** Whatever a key has. */
interface Entry {
  readonly step: number;
}

function sorted(model: ReadonlyMap<string, Entry>): [string, Entry][] {
  return [...model].sort(([left], [right]) => (left < right ? -1 : 1));
}

function expectSame(view: IndexView<Entry>, model: ReadonlyMap<string, Entry>): void {
  expect(view.size).toBe(model.size);
  const rows = view.rows({ from: '', reverse: false }, Number.POSITIVE_INFINITY);
  expect(rows.map(({ key, entry }) => [key, entry])).toEqual(sorted(model));
}

test.each([40, 2000])(
  'behaves as a sorted map of up to %i keys, and snapshots do not change',
  (keys) => {
    const random = new SeededRandom(keys);
    const index = new TreeIndex<Entry>();
    const model = new Map<string, Entry>();
    const snapshots: { view: IndexView<Entry>; model: Map<string, Entry> }[] = [];
    for (let step = 0; step < 30_000; step++) {
      // Phases of growing and shrinking reach splits and joins on every level.
      const isDelete = random.chance(Math.floor(step / 5000) % 2 === 0 ? 0.3 : 0.7);
      const key = `k${String(random.below(keys))}`;
      if (isDelete) {
        expect(index.delete(key)).toBe(model.get(key));
        model.delete(key);
      } else {
        const entry = { step };
        expect(index.set(key, entry)).toBe(model.get(key));
        model.set(key, entry);
      }
      expect(index.size).toBe(model.size);
      if (random.chance(0.001)) snapshots.push({ view: index.snapshot(), model: new Map(model) });
    }
    expectSame(index, model);
    expect(snapshots.length).toBeGreaterThan(5);
    for (const { view, model: then } of snapshots) expectSame(view, then);
  },
);

test.each([60, 3000, 12_000])(
  'a range is removed as a whole from %i keys, and snapshots keep it',
  (keys) => {
    const random = new SeededRandom(keys);
    const index = new TreeIndex<Entry>();
    const model = new Map<string, Entry>();
    const nameOf = (number: number) => `k${String(number).padStart(6, '0')}`;
    for (let round = 0; round < 40; round++) {
      for (let step = 0; step < keys / 4; step++) {
        const key = nameOf(random.below(keys));
        const entry = { step };
        expect(index.set(key, entry)).toBe(model.get(key));
        model.set(key, entry);
      }
      const snapshot = index.snapshot();
      const then = new Map(model);
      const low = random.below(keys);
      const [from, to] = [nameOf(low), nameOf(low + random.below(random.chance(0.2) ? keys : 60))];
      const inside = sorted(model).filter(([key]) => key >= from && key < to);
      expect(index.deleteRange(from, to).map(({ key, entry }) => [key, entry])).toEqual(inside);
      for (const [key] of inside) model.delete(key);
      if (keys > 100 && round % 8 !== 0) continue;
      expectSame(snapshot, then);
      expectSame(index, model);
    }
    expect(index.deleteRange('', '\xff')).toHaveLength(model.size);
    expect(index.size).toBe(0);
    expect(index.get(nameOf(1))).toBeUndefined();
  },
);

test('ranges are half open, may be reversed and are cut at the limit', () => {
  const random = new SeededRandom('ranges');
  const index = new TreeIndex<Entry>();
  const keys = Array.from({ length: 500 }, (_, number) => `k${String(number).padStart(3, '0')}`);
  for (const key of keys) index.set(key, { step: 1 });
  for (let round = 0; round < 300; round++) {
    const from = `k${String(random.below(520)).padStart(3, '0')}`;
    const to = random.chance(0.2) ? undefined : `k${String(random.below(520)).padStart(3, '0')}`;
    const limit = random.chance(0.5) ? random.below(40) : 1000;
    const reverse = random.chance(0.5);
    const inside = keys.filter((key) => key >= from && (to === undefined || key < to));
    const expected = (reverse ? inside.reverse() : inside).slice(0, limit);
    const rows = index.rows({ from, to, reverse }, limit);
    expect(rows.map(({ key }) => key)).toEqual(expected);
  }
});

test('keys compare as their bytes do', () => {
  const index = new TreeIndex<Entry>();
  for (const key of ['\xff', '\x00', 'a', '\x00\x00', '\x80', 'a\xff']) {
    index.set(key, { step: 1 });
  }
  const rows = index.rows({ from: '', reverse: false }, 10);
  expect(rows.map(({ key }) => key)).toEqual(['\x00', '\x00\x00', 'a', 'a\xff', '\x80', '\xff']);
});
