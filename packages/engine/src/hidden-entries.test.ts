import { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { keyOf, MemoryTables, rowsOf } from '../tests/memory-tables.ts';
import { findHidden } from './hidden-entries.ts';
import { UNPACED } from './pacer.ts';
import { BlockCache } from './table/block-cache.ts';
import type { TableMeta } from './table/table-meta.ts';
import { TableReader } from './table/table-reader.ts';
import { MemTable } from './tree/memtable.ts';
import { ENTRY_DELETE, ENTRY_INLINE, TreeEntry } from './tree/tree-entry.ts';
import { TreeView } from './tree/tree-view.ts';
import { LEVEL_LAST, Version } from './tree/version.ts';

const ROWS = 4000;

function setUp() {
  const tables = new MemoryTables();
  const all = [...rowsOf('k', ROWS)];
  const newer = all
    .filter((_, at) => at % 3 === 0)
    .map(([key, { lsn }]) => [key, TreeEntry.pointer(lsn + ROWS, 700, 12, lsn * 8)] as const);
  const run = [tables.add(1, newer, [{ from: keyOf('k', 900), to: keyOf('k', 1000) }])];
  const last = [tables.add(2, all.slice(0, 1500)), tables.add(3, all.slice(1500, 3000))];
  const levels = [[run], ...new Array<[]>(LEVEL_LAST - 1).fill([]), [last]];
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const cache = new BlockCache(1_000_000);
  const reader = new TableReader({ source: tables, cache, counters });
  const memtable = new MemTable();
  memtable.set(keyOf('k', 10), TreeEntry.delete(9000));
  memtable.set(keyOf('k', 11), TreeEntry.pointer(9000, 800, 13, 64));
  memtable.deleteRange(keyOf('k', 40), keyOf('k', 60));
  const sources = { memtables: [memtable], version: Version.of(1, levels), reader };
  const view = new TreeView({ ...sources, lookup: reader, breathe: () => Promise.resolve() });
  return { tables, sources, view, last, cache };
}

/** What counts of an entry that is hidden. */
function told(entry: TreeEntry | undefined): unknown {
  if (entry === undefined || entry.kind === ENTRY_DELETE) return undefined;
  if (entry.kind === ENTRY_INLINE) return 'inline';
  return { ordinal: entry.ordinal, offset: entry.offset, valueBytes: entry.valueBytes };
}

test.each([1, 10, 200, 3000])('finds for %i names what single looks find', async (count) => {
  const { sources, view } = setUp();
  const random = new SeededRandom(count);
  const names = new Set([keyOf('a', 1), keyOf('k', 10), keyOf('z', 1)].slice(0, count));
  while (names.size < count) {
    names.add(`${keyOf('k', random.below(ROWS))}${random.chance(0.1) ? 'x' : ''}`);
  }
  const sorted = [...names].sort();
  const found = await findHidden(sources, sorted, UNPACED);
  for (const [at, name] of sorted.entries()) {
    expect(told(found[at]), name).toEqual(told(await view.get(name)));
  }
});

test('reads blocks of neighbours together, and leaves the block cache as it is', async () => {
  const { tables, sources, cache } = setUp();
  const names = [...rowsOf('k', ROWS)].slice(1500, 2000).map(([key]) => key);
  await findHidden(sources, names, UNPACED);
  // Two filters, two indexes, and blocks of about 60 KiB.
  expect(tables.reads.length).toBeLessThanOrEqual(8);
  expect(cache.stats().blockCount).toBeLessThanOrEqual(5);
});

test('takes what lies in a damaged block for absent, and that alone', async () => {
  const { tables, sources, last } = setUp();
  const names = [...rowsOf('k', ROWS)].slice(1500, 2400).map(([key]) => key);
  const view = setUp().view;
  tables.damage(last[1] as TableMeta, 5000, 'disk');
  const found = await findHidden(sources, names, UNPACED);
  const lost: string[] = [];
  for (const [at, name] of names.entries()) {
    const expected = told(await view.get(name));
    if (JSON.stringify(told(found[at])) !== JSON.stringify(expected)) lost.push(name);
  }
  expect(lost.length).toBeGreaterThan(0);
  expect(lost.length).toBeLessThan(200);
});

test('takes what lies in a sector that cannot be read for absent, and that alone', async () => {
  const { tables, sources, last } = setUp();
  const names = [...rowsOf('k', ROWS)].slice(1500, 2400).map(([key]) => key);
  const whole = await findHidden(setUp().sources, names, UNPACED);
  tables.break(5000);
  const found = await findHidden(sources, names, UNPACED);
  const lost = names.filter(
    (_, at) => JSON.stringify(told(found[at])) !== JSON.stringify(told(whole[at])),
  );
  expect(lost.length).toBeGreaterThan(0);
  expect(lost.length).toBeLessThan(200);
  expect(lost.every((name) => name >= (last[1] as TableMeta).smallest)).toBe(true);
});

test('what cannot be read through the page cache alone is read past it', async () => {
  const { tables, sources } = setUp();
  const names = [...rowsOf('k', ROWS)].slice(1500, 2400).map(([key]) => key);
  const whole = await findHidden(setUp().sources, names, UNPACED);
  tables.break(5000, 'cached');
  const found = await findHidden(sources, names, UNPACED);
  expect(found.map(told)).toEqual(whole.map(told));
});

test('what is stale in the page cache is read from the disk', async () => {
  const { tables, sources, view, last } = setUp();
  const names = [...rowsOf('k', ROWS)].slice(1500, 2400).map(([key]) => key);
  tables.damage(last[1] as TableMeta, 5000, 'page');
  const found = await findHidden(sources, names, UNPACED);
  for (const [at, name] of names.entries()) {
    expect(told(found[at])).toEqual(told(await view.get(name)));
  }
});
