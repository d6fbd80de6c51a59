import { SeededRandom } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { MemoryTables, keyOf, rowsOf } from '../../tests/memory-tables.ts';
import { TABLE_READ_AHEAD_BYTES_MAX } from '../limits.ts';
import type { CursorRange } from '../tree/entry-cursor.ts';
import { BlockCache } from './block-cache.ts';
import type { TableMeta } from './table-meta.ts';
import { TableReader } from './table-reader.ts';

const ROWS = 3000;

function setUp(cacheBytes = 4 * 1024 * 1024): {
  readonly tables: MemoryTables;
  readonly meta: TableMeta;
  readonly cache: BlockCache;
  readonly walk: (range: Partial<CursorRange>) => Promise<string[]>;
} {
  const tables = new MemoryTables();
  const meta = tables.add(1, rowsOf('k', ROWS));
  const cache = new BlockCache(cacheBytes);
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const reader = new TableReader({ source: tables, cache, counters });
  const walk = async (range: Partial<CursorRange>): Promise<string[]> => {
    const cursor = reader.cursor(meta, { from: '', reverse: false, readAhead: false, ...range });
    const keys: string[] = [];
    while (await cursor.next()) {
      expect(keyOf('k', cursor.entry.lsn - 1)).toBe(cursor.key);
      keys.push(cursor.key);
    }
    expect(await cursor.next()).toBe(false);
    return keys;
  };
  return { tables, meta, cache, walk };
}

const allKeys = [...rowsOf('k', ROWS)].map(([key]) => key);

function expectedKeys({ from = '', to, reverse = false }: Partial<CursorRange>): string[] {
  const keys = allKeys.filter((key) => key >= from && (to === undefined || key < to));
  return reverse ? keys.reverse() : keys;
}

describe('a walk', () => {
  it('meets every entry in order, in both directions, read ahead or not', async () => {
    const { walk } = setUp();
    for (const reverse of [false, true]) {
      for (const readAhead of [false, true]) {
        expect(await walk({ reverse, readAhead })).toEqual(expectedKeys({ reverse }));
      }
    }
  });

  it('keeps to its range, wherever the bounds fall', async () => {
    const { walk } = setUp(50_000);
    const random = new SeededRandom(1);
    const bounds = ['', 'a', 'k', 'z', keyOf('k', 0), keyOf('k', ROWS - 1), keyOf('k', ROWS)];
    for (let round = 0; round < 120; round++) {
      const bound = (): string =>
        random.below(4) === 0
          ? (bounds[random.below(bounds.length)] as string)
          : keyOf('k', random.below(ROWS)) + (random.below(2) === 0 ? '' : '\0');
      const from = bound();
      const range = {
        from,
        to: random.below(4) === 0 ? undefined : bound(),
        reverse: random.below(2) === 0,
        readAhead: random.below(2) === 0,
      };
      expect(await walk(range)).toEqual(expectedKeys(range));
    }
  });

  it('reads ahead in few and growing reads, each block once, also without a cache', async () => {
    for (const cacheBytes of [0, 4 * 1024 * 1024]) {
      for (const reverse of [false, true]) {
        const { walk, tables, meta } = setUp(cacheBytes);
        await walk({ reverse, readAhead: true });
        const reads = tables.reads.filter(({ offset }) => offset < meta.filter.offset);
        const sizes = reads.map(({ sizeBytes }) => sizeBytes);
        expect(sizes.reduce((sum, size) => sum + size)).toBe(meta.filter.offset);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(TABLE_READ_AHEAD_BYTES_MAX);
        expect(sizes.length).toBeLessThan(8);
        expect(sizes[1]).toBeGreaterThan(sizes[0] as number);
      }
    }
  });

  it('reads nothing ahead of what its range can need', async () => {
    const { walk, tables, meta } = setUp();
    await walk({ from: keyOf('k', 10), to: keyOf('k', 20), readAhead: true });
    const reads = tables.reads.filter(({ offset }) => offset < meta.filter.offset);
    expect(reads.map(({ sizeBytes }) => sizeBytes < 6000)).toEqual([true]);
  });

  it('steps without a promise where blocks are cached', async () => {
    const { tables, meta, cache, walk } = setUp();
    await walk({ readAhead: true });
    const counters = { checksumErrorCount: 0, staleReadCount: 0 };
    const reader = new TableReader({ source: tables, cache, counters });
    const { length } = tables.reads;
    for (const reverse of [false, true]) {
      const cursor = reader.cursor(meta, { from: '', reverse, readAhead: true });
      let count = 0;
      while (cursor.next() === true) count++;
      expect(count).toBe(ROWS);
    }
    expect(tables.reads.length).toBe(length);
  });

  it('takes no harm from a neighbour that it does not need', async () => {
    const { tables, meta, walk } = setUp();
    const range = { from: keyOf('k', 0), to: keyOf('k', 100), readAhead: true };
    expect(await walk(range)).toHaveLength(100);
    const fresh = setUp();
    const offset = fresh.meta.filter.offset - 1;
    fresh.tables.damage(fresh.meta, offset, 'disk');
    expect(await fresh.walk({ to: keyOf('k', ROWS - 50), readAhead: true })).toHaveLength(
      ROWS - 50,
    );
    await expect(fresh.walk({ readAhead: true })).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
    tables.break(meta.filter.offset - 1);
    expect(await walk({ to: keyOf('k', ROWS - 50), readAhead: true })).toHaveLength(ROWS - 50);
    await expect(walk({ readAhead: true })).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
  });

  it('takes stale pages in a row for what they are', async () => {
    const { tables, meta, walk } = setUp();
    for (let offset = 100; offset < meta.filter.offset; offset += 9000) {
      tables.damage(meta, offset, 'page');
    }
    expect(await walk({ readAhead: true })).toEqual(allKeys);
  });
});
