import { describe, expect, it } from 'vitest';

import { MemoryTables, keyOf, rowsOf } from '../../tests/memory-tables.ts';
import { BlockCache } from './block-cache.ts';
import { blockCountOf, blockPlaceAt } from './index-block.ts';
import { sealBlock } from './table-format.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';
import { TableReader } from './table-reader.ts';
import type { TableCheck } from './verify-table.ts';

const ROWS = 2000;

function setUp(): {
  readonly tables: MemoryTables;
  readonly meta: TableMeta;
  readonly reader: TableReader;
  readonly counters: { checksumErrorCount: number; staleReadCount: number };
  readonly check: (meta?: TableMeta) => Promise<TableCheck>;
} {
  const tables = new MemoryTables();
  const meta = tables.add(1, rowsOf('k', ROWS), [{ from: 'r', to: 's' }]);
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const reader = new TableReader({ source: tables, cache: new BlockCache(1e6), counters });
  return { tables, meta, reader, counters, check: (of = meta) => reader.verify(of) };
}

/** Copies a whole block over another place, with a checksum that is right. */
function forge(tables: MemoryTables, meta: TableMeta, place: BlockPlace, block: Uint8Array): void {
  sealBlock(block, meta.seed);
  for (const bytes of tables.bytesOf(meta)) bytes.set(block, place.offset);
}

describe('verify', () => {
  it('finds nothing wrong with a table as it was written', async () => {
    const { check, meta } = setUp();
    expect(await check()).toEqual({
      ...{ entryCount: ROWS, bytesChecked: meta.sizeBytes, damages: [] },
    });
  });

  it('finds a damaged byte wherever it means something, and says where', async () => {
    const { check, tables, meta } = setUp();
    const footerBytes = 16;
    const ends = [meta.index.offset + meta.index.sizeBytes, meta.sizeBytes - footerBytes];
    const places = [1, 5000, meta.filter.offset + 9, (meta.ranges?.offset ?? 0) + 9];
    for (const offset of [...places, (ends[0] as number) - 1, ends[1] as number]) {
      tables.damage(meta, offset, 'disk');
      const { damages } = await check();
      expect(damages).toHaveLength(1);
      const [damage] = damages;
      const start = (damage?.offset ?? 0) - tables.place(meta, 0);
      expect(start).toBeLessThanOrEqual(offset);
      expect(start + (damage?.sizeBytes ?? 0)).toBeGreaterThan(offset);
      tables.damage(meta, offset, 'disk');
    }
  });

  it('lists every damaged block in order, and those that cannot be read', async () => {
    const { check, tables, meta, reader } = setUp();
    const index = await reader.index(meta);
    for (const number of [7, 2, 4]) {
      tables.damage(meta, blockPlaceAt(index, number).offset + 8, 'disk');
    }
    tables.break(blockPlaceAt(index, 10).offset);
    const { damages, entryCount } = await check();
    expect(damages.map(({ offset }) => offset)).toEqual(
      [2, 4, 7, 10].map((number) => tables.place(meta, blockPlaceAt(index, number).offset)),
    );
    expect(entryCount).toBeLessThan(ROWS);
    expect(entryCount).toBeGreaterThan(ROWS / 2);
  });

  it('reports no stale page', async () => {
    const { check, tables, meta, counters } = setUp();
    for (const offset of [
      100,
      meta.filter.offset + 50,
      meta.index.offset + 9,
      meta.sizeBytes - 1,
    ]) {
      tables.damage(meta, offset, 'page');
    }
    expect((await check()).damages).toEqual([]);
    expect(counters.staleReadCount).toBe(3);
  });

  it('finds blocks that are right in themselves and in the wrong place', async () => {
    const { check, tables, meta, reader } = setUp();
    const index = await reader.index(meta);
    const places = Array.from({ length: blockCountOf(index) }, (_, at) => blockPlaceAt(index, at));
    const target = places.find(({ sizeBytes }, at) =>
      places.some((other, otherAt) => otherAt > at + 1 && other.sizeBytes === sizeBytes),
    );
    const source = places.findLast(({ sizeBytes }) => sizeBytes === target?.sizeBytes);
    if (target === undefined || source === undefined) throw new Error('no two blocks are alike');
    const [bytes] = tables.bytesOf(meta);
    forge(
      tables,
      meta,
      target,
      (bytes as Uint8Array).slice(source.offset, source.offset + source.sizeBytes),
    );
    const { damages } = await check();
    expect(damages[0]).toMatchObject({ reason: 'the index does not lead to a data block' });
  });

  it('finds a filter that denies keys, and bounds and counts that are wrong', async () => {
    const { check, tables, meta } = setUp();
    expect((await check({ ...meta, smallest: keyOf('k', 1) })).damages[0]).toMatchObject({
      reason: 'a data block has keys outside the bounds of its table',
    });
    expect((await check({ ...meta, end: keyOf('k', ROWS - 1) })).damages[0]).toMatchObject({
      reason: 'a data block has keys outside the bounds of its table',
    });
    expect((await check({ ...meta, entryCount: ROWS + 1 })).damages).toMatchObject([
      { reason: 'the table has lost or gained entries' },
    ]);
    expect((await check({ ...meta, rangeCount: 2 })).damages).toMatchObject([
      { reason: 'the range deletes are not those of the table' },
    ]);
    forge(tables, meta, meta.filter, new Uint8Array(meta.filter.sizeBytes));
    expect((await check()).damages[0]).toMatchObject({
      reason: 'the filter denies keys of a data block',
    });
  });

  it('finds another table of the same layout in its place', async () => {
    const { check, tables, meta } = setUp();
    const other = tables.add(2, rowsOf('k', ROWS), [{ from: 'r', to: 's' }]);
    const [others] = tables.bytesOf(other);
    for (const bytes of tables.bytesOf(meta)) bytes.set(others as Uint8Array);
    const { damages, entryCount } = await check();
    expect(entryCount).toBe(0);
    const reasons = damages.map(({ reason }) => reason).sort();
    expect(reasons).toEqual([
      'a data block of a table is damaged',
      'the filter of a table is damaged',
      'the footer of a table is damaged',
      'the index of a table is damaged',
      'the range block of a table is damaged',
    ]);
  });
});
