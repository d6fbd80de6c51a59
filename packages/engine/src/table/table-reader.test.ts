import { endOf } from '../pacer.ts';
import { bytesOfBinaryString } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { MemoryTables, keyOf, rowsOf } from '../../tests/memory-tables.ts';
import { CACHED_BLOCK_OVERHEAD_BYTES } from '../limits.ts';
import { RangeSet } from '../tree/range-set.ts';
import { TreeEntry } from '../tree/tree-entry.ts';
import { DamagedTables } from '../damaged-tables.ts';
import { BlockCache } from './block-cache.ts';
import { hashOfKey } from './bloom.ts';
import { blockCountOf, blockPlaceAt, findInIndex } from './index-block.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';
import { TableReader } from './table-reader.ts';
import type { DataRun } from './table-reader.ts';

const ROWS = 2000;
const DEVICE_START = 1_000_000 + 8192;

/** A reader of one table of {@link ROWS} rows. */
function setUp(cacheBytes = 4 * 1024 * 1024): {
  readonly tables: MemoryTables;
  readonly meta: TableMeta;
  readonly cache: BlockCache;
  readonly reader: TableReader;
  readonly counters: { checksumErrorCount: number; staleReadCount: number };
  readonly get: (key: string) => ReturnType<TableReader['get']>;
  readonly placeOf: (key: string) => Promise<BlockPlace>;
} {
  const tables = new MemoryTables();
  const meta = tables.add(1, rowsOf('k', ROWS), [{ from: 'r', to: 's' }]);
  const cache = new BlockCache(cacheBytes);
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const reader = new TableReader({ source: tables, cache, counters });
  const get = (key: string): ReturnType<TableReader['get']> => {
    const bytes = bytesOfBinaryString(key);
    return reader.get(meta, bytes, hashOfKey(bytes));
  };
  const placeOf = async (key: string): Promise<BlockPlace> => {
    const index = await reader.index(meta);
    return blockPlaceAt(index, findInIndex(index, bytesOfBinaryString(key)));
  };
  return { tables, meta, cache, reader, counters, get, placeOf };
}

describe('a key', () => {
  it('is found with its entry, of every kind, and others are not', async () => {
    const { get } = setUp();
    for (const [key, entry] of rowsOf('k', ROWS)) expect(await get(key)).toEqual(entry);
    for (const key of ['a', 'k', 'k00000000x', 'k9', keyOf('k', ROWS)]) {
      expect(await get(key)).toBeUndefined();
    }
  });

  it('is there at once when its blocks are cached', async () => {
    const { get, tables } = setUp();
    const first = get(keyOf('k', 4));
    expect(first).toBeInstanceOf(Promise);
    await first;
    const { length } = tables.reads;
    expect(length).toBe(3);
    expect(get(keyOf('k', 4))).toEqual(TreeEntry.inline(5, new Uint8Array(80).fill(4)));
    expect(get('absent')).toBeUndefined();
    expect(tables.reads.length).toBe(length);
  });

  it('is there at once when the device has its blocks in memory, and they are cached', () => {
    const { get, tables, cache } = setUp();
    tables.isInMemory = true;
    expect(get(keyOf('k', 4))).toEqual(TreeEntry.inline(5, new Uint8Array(80).fill(4)));
    expect(tables.reads.length).toBe(3);
    expect(get(keyOf('k', 4))).toEqual(TreeEntry.inline(5, new Uint8Array(80).fill(4)));
    expect(tables.reads.length).toBe(3);
    expect(cache.stats()).toMatchObject({ missCount: 3, hitCount: 3, blockCount: 3 });
  });

  it('is there at once from blocks that are not kept, and stays what it is', () => {
    // Room for filter, index and one data block.
    const { get, tables, cache } = setUp(12_000);
    tables.isInMemory = true;
    const rows = [4, 504, 1001, 1505].map((row) => keyOf('k', row));
    const entries = rows.map((key) => get(key) as TreeEntry);
    expect(cache.stats()).toMatchObject({ blockCount: 3, evictedCount: 0, missCount: 6 });
    expect(entries.map(({ lsn, value }) => [lsn, value[0]])).toEqual(
      [4, 504, 1001, 1505].map((row) => [row + 1, row & 255]),
    );
    // What is asked for again is worth keeping.
    expect(get(rows[1] as string)).toMatchObject({ lsn: 505 });
    expect(cache.stats()).toMatchObject({ blockCount: 3, evictedCount: 1, missCount: 7 });
    const { length } = tables.reads;
    expect(get(rows[1] as string)).toMatchObject({ lsn: 505 });
    expect(tables.reads.length).toBe(length);
  });

  it('does not have its block kept when it must be waited for, but when it is asked for again', async () => {
    const { get, cache } = setUp(12_000);
    for (const row of [4, 504, 1001, 1505]) await get(keyOf('k', row));
    expect(cache.stats()).toMatchObject({ blockCount: 3, evictedCount: 0 });
    await get(keyOf('k', 504));
    expect(cache.stats()).toMatchObject({ blockCount: 3, evictedCount: 1 });
    expect(get(keyOf('k', 504))).not.toBeInstanceOf(Promise);
  });

  it('is not told from a damaged page that is in memory', async () => {
    const { get, placeOf, tables, meta, counters } = setUp();
    const { offset } = await placeOf(keyOf('k', 4));
    tables.isInMemory = true;
    tables.damage(meta, offset + 20, 'page');
    const entry = get(keyOf('k', 4));
    expect(entry).toBeInstanceOf(Promise);
    expect(await entry).toEqual(TreeEntry.inline(5, new Uint8Array(80).fill(4)));
    expect(counters).toEqual({ checksumErrorCount: 0, staleReadCount: 1 });
    // What was not right is not asked for there again, where it might be right by chance, and not counted.
    expect(tables.reads.filter((read) => read.offset === offset).map(({ mode }) => mode)).toEqual([
      'cached',
      'uncached',
    ]);
  });

  it('is damage when the disk is no better than a page in memory', async () => {
    const { get, placeOf, tables, meta, counters } = setUp();
    const { offset } = await placeOf(keyOf('k', 4));
    tables.isInMemory = true;
    tables.damage(meta, offset + 20, 'disk');
    await expect(get(keyOf('k', 4))).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
    expect(counters).toMatchObject({ checksumErrorCount: 1 });
  });

  it('costs one read a block, however many ask at once', async () => {
    const { get, tables, cache } = setUp();
    const ask = async (): Promise<TreeEntry | undefined> => get(keyOf('k', 11));
    const entries = await Promise.all(Array.from({ length: 20 }, ask));
    expect(new Set(entries.map((entry) => entry?.lsn))).toEqual(new Set([12]));
    expect(tables.reads.length).toBe(3);
    expect(cache.stats()).toMatchObject({ missCount: 3, sharedReadCount: 57 });
  });

  it('is found with a cache that holds next to nothing, in bounds', async () => {
    // Room for the filter or the index.
    const limitBytes = 2600 + CACHED_BLOCK_OVERHEAD_BYTES;
    const { get, cache, tables } = setUp(limitBytes);
    for (let index = 0; index < 60; index++) {
      const row = (index * 997) % ROWS;
      expect((await get(keyOf('k', row)))?.lsn).toBe(row + 1);
      expect(cache.stats().sizeBytes).toBeLessThanOrEqual(limitBytes);
      expect(cache.stats().blockCount).toBeGreaterThan(0);
    }
    expect(tables.reads.length).toBeGreaterThan(100);
    expect(cache.stats().evictedCount).toBeGreaterThan(50);
  });

  it('of a table of range deletes alone is absent', async () => {
    const { tables, reader } = setUp();
    const meta = tables.add(2, [], [{ from: 'a', to: 'b' }]);
    const key = bytesOfBinaryString('a');
    expect(await reader.get(meta, key, hashOfKey(key))).toBeUndefined();
    const cursor = reader.cursor(meta, { from: '', reverse: false, readAhead: true });
    expect(await cursor.next()).toBe(false);
    expect(await reader.readRun(meta, 0)).toBeUndefined();
    expect((await reader.verify(meta)).damages).toEqual([]);
  });
});

describe('a table that was just written', () => {
  it('is read without the device, and says what the device would', async () => {
    const { tables, meta, cache, reader, get, counters } = setUp();
    const [disk = new Uint8Array(0)] = tables.bytesOf(meta);
    const bytes = disk.slice();
    endOf(reader.keepWritten(meta, bytes));
    // The writer uses its buffer again.
    bytes.fill(0xff);
    for (const [key, entry] of rowsOf('k', ROWS)) expect(get(key)).toEqual(entry);
    expect(get(keyOf('k', ROWS))).toBeUndefined();
    expect(tables.reads).toEqual([]);
    expect(cache.stats().missCount).toBe(0);
    // Each block is exactly the one that a reader without a cache gets.
    const fresh = new TableReader({ source: tables, cache: new BlockCache(1e7), counters });
    const index = await fresh.index(meta);
    expect(await reader.index(meta)).toEqual(index);
    for (let number = 0; number < blockCountOf(index); number++) {
      const place = blockPlaceAt(index, number);
      const kept = reader.cachedBlock(meta, place);
      expect(kept).toEqual(await fresh.block(meta, place));
      expect(kept?.buffer.byteLength).toBe(place.sizeBytes);
    }
  });

  it('evicts no other block for its data, and takes no more than there is room for', async () => {
    const limitBytes = 60_000;
    const { tables, meta, cache, reader, get } = setUp(limitBytes);
    const other = tables.add(2, rowsOf('o', 500));
    const key = bytesOfBinaryString(keyOf('o', 250));
    await reader.get(other, key, hashOfKey(key));
    const { length } = tables.reads;
    endOf(reader.keepWritten(meta, (tables.bytesOf(meta)[0] as Uint8Array).slice()));
    expect(cache.stats()).toMatchObject({ evictedCount: 0 });
    expect(cache.stats().sizeBytes).toBeLessThanOrEqual(limitBytes);
    expect(reader.get(other, key, hashOfKey(key))).toMatchObject({ lsn: 251 });
    expect(get(keyOf('k', 1))).toMatchObject({ lsn: 2 });
    expect(tables.reads.length).toBe(length);
    // The end of its data had no room: that is read.
    expect(get(keyOf('k', ROWS - 1))).toBeInstanceOf(Promise);
    expect(await get(keyOf('k', ROWS - 1))).toMatchObject({ lsn: ROWS });
  });
});

describe('range deletes', () => {
  it('are read once, decoded once, and there at once from then on', async () => {
    const { reader, meta, tables } = setUp();
    const ranges = reader.ranges(meta);
    expect(ranges).toBeInstanceOf(Promise);
    expect((await ranges).list()).toEqual([{ from: 'r', to: 's' }]);
    const again = reader.ranges(meta);
    expect(again).toBeInstanceOf(RangeSet);
    expect(reader.ranges(meta)).toBe(again);
    expect(tables.reads.length).toBe(1);
    expect(reader.ranges(tables.add(2, rowsOf('k', 1)))).toBe(RangeSet.EMPTY);
  });
});

describe('damage', () => {
  const damaged = (place: BlockPlace): unknown => ({
    code: 'INDEX_DAMAGED',
    detail: {
      ...{ path: 'memory', segment: 3, sizeBytes: place.sizeBytes },
      offset: DEVICE_START + place.offset,
    },
  });

  it('of any block is an error of those who need it, and of nobody else', async () => {
    for (const part of ['filter', 'index', 'data', 'ranges'] as const) {
      const { tables, meta, get, placeOf, counters, reader } = setUp();
      const place = part === 'data' ? await placeOf(keyOf('k', 1000)) : meta[part];
      if (place === undefined) throw new Error('the table has all parts');
      const fresh = new TableReader({ source: tables, cache: new BlockCache(1e6), counters });
      tables.damage(meta, place.offset + place.sizeBytes - 1, 'disk');
      const key = bytesOfBinaryString(keyOf('k', 1000));
      const ask = async (): Promise<unknown> =>
        part === 'ranges' ? fresh.ranges(meta) : fresh.get(meta, key, hashOfKey(key));
      await expect(ask()).rejects.toMatchObject(damaged(place) as object);
      await expect(ask()).rejects.toMatchObject(damaged(place) as object);
      expect(counters).toEqual({ checksumErrorCount: 2, staleReadCount: 0 });
      if (part === 'data' || part === 'ranges') {
        expect(await get(keyOf('k', 1))).toBeDefined();
        expect(await reader.verify(meta)).toMatchObject({
          damages: [{ sizeBytes: place.sizeBytes }],
        });
      }
    }
  });

  it('is looked for in every bit of a block', async () => {
    const { tables, meta, placeOf } = setUp();
    const place = await placeOf(keyOf('k', 500));
    const key = bytesOfBinaryString(keyOf('k', 500));
    const counters = { checksumErrorCount: 0, staleReadCount: 0 };
    for (let offset = place.offset; offset < place.offset + place.sizeBytes; offset += 61) {
      tables.damage(meta, offset, 'disk');
      const reader = new TableReader({ source: tables, cache: new BlockCache(1e6), counters });
      await expect(reader.get(meta, key, hashOfKey(key))).rejects.toMatchObject(
        damaged(place) as object,
      );
      tables.damage(meta, offset, 'disk');
    }
  });

  it('is returned when the checks are switched off: they are what finds it', async () => {
    const { tables, meta, placeOf, counters } = setUp();
    const key = keyOf('k', 500);
    const { offset, sizeBytes } = await placeOf(key);
    for (let at = offset + 4; at < offset + sizeBytes; at++) tables.damage(meta, at, 'disk');
    const reader = new TableReader({
      ...{ source: tables, cache: new BlockCache(1e6), counters },
      switches: { skipReadChecks: true },
    });
    const bytes = bytesOfBinaryString(key);
    const entry = await reader.get(meta, bytes, hashOfKey(bytes));
    expect(entry?.lsn).not.toBe(501);
    expect(counters.checksumErrorCount).toBe(0);
  });

  it('of a page of the cache alone is put right by a read past it, once for all who wait', async () => {
    const { tables, meta, get, placeOf, counters } = setUp();
    const place = await placeOf(keyOf('k', 700));
    tables.damage(meta, place.offset + 100, 'page');
    const before = tables.reads.length;
    const ask = async (): Promise<TreeEntry | undefined> => get(keyOf('k', 700));
    const entries = await Promise.all([ask(), ask(), ask()]);
    expect(entries.map((entry) => entry?.lsn)).toEqual([701, 701, 701]);
    expect(counters).toEqual({ checksumErrorCount: 0, staleReadCount: 1 });
    const reads = tables.reads.slice(before).filter(({ offset }) => offset === place.offset);
    expect(reads.map(({ mode }) => mode)).toEqual(['cached', 'uncached']);
    expect(get(keyOf('k', 700))).toMatchObject({ lsn: 701 });
  });

  it('of a sector is damage of its table, which says what the device said', async () => {
    const { tables, meta, get, placeOf, counters } = setUp();
    const place = await placeOf(keyOf('k', 700));
    tables.break(place.offset);
    const failed = { code: 'INDEX_DAMAGED', cause: { detail: { code: 'DEVICE_READ_FAILED' } } };
    const asked = [1, 2].map(() => get(keyOf('k', 700)));
    for (const answer of asked) await expect(answer).rejects.toMatchObject(failed);
    expect(counters.checksumErrorCount).toBeGreaterThan(0);
    expect(await get(keyOf('k', 1))).toBeDefined();
    expect(meta.number).toBeGreaterThan(0);
  });

  it('of a sector fails as the device does when that is not handled', async () => {
    const { tables, meta, placeOf, counters } = setUp();
    tables.break((await placeOf(keyOf('k', 700))).offset);
    const switches = { failOnUnreadTables: true };
    const cache = new BlockCache(1e6);
    const reader = new TableReader({ source: tables, cache, counters, switches });
    const key = bytesOfBinaryString(keyOf('k', 700));
    const answer = (async () => reader.get(meta, key, hashOfKey(key)))();
    await expect(answer).rejects.toMatchObject({ code: 'DEVICE_READ_FAILED' });
  });

  it('is known of its table until a look at all of it finds it sound', async () => {
    const { tables, meta, placeOf, counters } = setUp();
    const place = await placeOf(keyOf('k', 700));
    const known = new DamagedTables();
    const cache = new BlockCache(0);
    const reader = new TableReader({ source: tables, cache, counters, damaged: known });
    const key = bytesOfBinaryString(keyOf('k', 700));
    const ask = async () => reader.get(meta, key, hashOfKey(key));
    await ask();
    expect(known.count).toBe(0);
    tables.damage(meta, place.offset + 100, 'disk');
    await expect(ask()).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
    expect(known.has(meta.number)).toBe(true);
    await reader.verify(meta);
    expect(known.has(meta.number)).toBe(true);
    tables.damage(meta, place.offset + 100, 'disk');
    await reader.verify(meta);
    expect(known.has(meta.number)).toBe(false);
  });
});

describe('runs of blocks for a merge', () => {
  async function runsOf(
    reader: TableReader,
    meta: TableMeta,
    sizeBytes: number,
  ): Promise<DataRun[]> {
    const runs: DataRun[] = [];
    for (let next = 0; ;) {
      const run = await reader.readRun(meta, next, sizeBytes);
      if (run === undefined) return runs;
      runs.push(run);
      next += run.blockEnds.length;
    }
  }

  it('are the data of the table, in few reads, past the cache', async () => {
    const { reader, meta, tables, cache } = setUp();
    const index = await reader.index(meta);
    for (const sizeBytes of [1, 10_000, 64 * 1024, 1024 * 1024]) {
      const before = tables.reads.length;
      const runs = await runsOf(reader, meta, sizeBytes);
      const data = runs.flatMap(({ blocks }) => [...blocks]);
      expect(Uint8Array.from(data)).toEqual(tables.bytesOf(meta)[0]?.slice(0, meta.filter.offset));
      expect(runs.map(({ isLast }) => isLast)).toEqual(runs.map((run) => run === runs.at(-1)));
      const counts = runs.map(({ blockEnds }) => blockEnds.length);
      expect(counts.reduce((sum, count) => sum + count)).toBe(blockCountOf(index));
      expect(tables.reads.length - before).toBe(runs.length);
      for (const { blocks, blockEnds } of runs) {
        expect(blocks.length).toBe(blockEnds.at(-1));
        expect(blocks.buffer.byteLength).toBe(blocks.length);
        expect(blocks.length <= sizeBytes || blockEnds.length === 1).toBe(true);
      }
    }
    expect(cache.stats().blockCount).toBe(1);
  });

  it('are read again where a merge found them damaged', async () => {
    const { reader, meta, tables, counters, placeOf } = setUp();
    const good = await reader.readRun(meta, 2, 20_000);
    if (good === undefined) throw new Error('there is a run');
    const expected = good.blocks.slice();
    const place = await placeOf(keyOf('k', 200));
    tables.damage(meta, place.offset + 50, 'page');
    const bad = await reader.readRun(meta, 2, 20_000);
    expect(bad?.blocks).not.toEqual(expected);
    const { blocks, ...rest } = await reader.rereadRun(meta, good);
    expect(blocks).toEqual(expected);
    expect(rest).toMatchObject({ firstBlock: 2, isLast: false });
    expect(counters.staleReadCount).toBe(1);
    tables.damage(meta, place.offset + 51, 'disk');
    await expect(reader.rereadRun(meta, good)).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
  });

  it('are read block by block where the device cannot read them together', async () => {
    const { reader, meta, tables, placeOf } = setUp();
    const good = await reader.readRun(meta, 2, 20_000);
    const place = await placeOf(keyOf('k', 200));
    tables.break(place.offset, 'cached');
    expect(await reader.readRun(meta, 2, 20_000)).toEqual(good);
    tables.break(place.offset);
    await expect(reader.readRun(meta, 2, 20_000)).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
  });
});
