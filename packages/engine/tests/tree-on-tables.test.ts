/** The view of a tree over tables as they are on a device, read through a small cache. */
import { bytesOfBinaryString, SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { BlockCache } from '../src/table/block-cache.ts';
import { TableReader } from '../src/table/table-reader.ts';
import type { TableMeta } from '../src/table/table-meta.ts';
import { MemTable } from '../src/tree/memtable.ts';
import { ENTRY_DELETE, TreeEntry } from '../src/tree/tree-entry.ts';
import { TreeView } from '../src/tree/tree-view.ts';
import { LEVEL_LAST, Version } from '../src/tree/version.ts';
import { MemoryTables } from './memory-tables.ts';

const KEYS = 3000;

function nameOf(number: number): string {
  return `prefix/\xff${String(number).padStart(6, '0')}`;
}

interface Layer {
  readonly rows: (readonly [string, TreeEntry])[];
  readonly ranges: { readonly from: string; readonly to: string }[];
}

/** Entries of a third of the keys, some of them deletes, and some range deletes. */
function layerOf(random: SeededRandom, lsn: number, part: number): Layer {
  const rows: [string, TreeEntry][] = [];
  for (let number = 0; number < KEYS; number++) {
    if (!random.chance(part)) continue;
    const entry = random.chance(0.3)
      ? TreeEntry.delete(lsn)
      : TreeEntry.inline(lsn, new Uint8Array(random.below(40)).fill(lsn));
    rows.push([nameOf(number), entry]);
  }
  const ranges: Layer['ranges'] = [];
  for (let start = random.below(500); start < KEYS - 200; start += 700) {
    ranges.push({ from: nameOf(start), to: nameOf(start + random.below(150) + 1) });
  }
  return { rows, ranges };
}

/** What is visible of layers, newest first. */
function visible(layers: readonly Layer[]): Map<string, TreeEntry> {
  const all = new Map<string, TreeEntry>();
  for (const { rows, ranges } of layers.toReversed()) {
    for (const key of [...all.keys()]) {
      if (ranges.some(({ from, to }) => from <= key && key < to)) all.delete(key);
    }
    for (const [key, entry] of rows) {
      if (entry.kind === ENTRY_DELETE) all.delete(key);
      else all.set(key, entry);
    }
  }
  return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

test.each([20_000, 4_000_000])(
  'a view over real tables is what its layers say, with a cache of %i bytes',
  async (cacheBytes) => {
    const random = new SeededRandom(cacheBytes);
    const layers = [0.1, 0.2, 0.3, 0.9].map((part, at) => layerOf(random, 40 - at, part));
    const memtable = new MemTable();
    const [newest, ...older] = layers;
    for (const { from, to } of newest?.ranges ?? []) memtable.deleteRange(from, to);
    for (const [key, entry] of newest?.rows ?? []) memtable.set(key, entry);
    const tables = new MemoryTables();
    const [first, second, last] = older.map(({ rows, ranges }, at) => [
      tables.add(at + 1, rows, ranges),
    ]) as [TableMeta[], TableMeta[], TableMeta[]];
    const levels = [[first, second], ...new Array<[]>(LEVEL_LAST - 1).fill([]), [last]];
    const counters = { checksumErrorCount: 0, staleReadCount: 0 };
    const lookup = new TableReader({ source: tables, cache: new BlockCache(cacheBytes), counters });
    const view = new TreeView({
      memtables: [memtable],
      version: Version.of(1, levels),
      lookup,
      breathe: () => Promise.resolve(),
    });
    const expected = visible(layers);
    for (let number = 0; number < KEYS; number += 7) {
      const name = nameOf(number);
      expect(await view.get(name)).toEqual(expected.get(name));
    }
    const names = [...expected.keys()];
    for (let round = 0; round < 40; round++) {
      const reverse = random.chance(0.5);
      const from = round === 0 ? '' : nameOf(random.below(KEYS));
      const to = random.chance(0.2) ? undefined : nameOf(random.below(KEYS));
      const limit = random.chance(0.5) ? 1 + random.below(100) : KEYS;
      const inside = names.filter((key) => key >= from && (to === undefined || key < to));
      if (reverse) inside.reverse();
      const rows = await view.rows({ from, to, reverse }, limit);
      expect(rows.map(({ key }) => key)).toEqual(inside.slice(0, limit));
      for (const { key, entry } of rows.slice(0, 5)) expect(entry).toEqual(expected.get(key));
    }
    const key = names[0] ?? '';
    await view.get(key, bytesOfBinaryString(key));
    if (cacheBytes > 1_000_000) expect(view.get(key)).toEqual(expected.get(key));
  },
);
