import { bytesOfBinaryString } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { MemoryTables, keyOf, rowsOf } from '../../tests/memory-tables.ts';
import { LenientTables } from '../lenient-tables.ts';
import { BlockCache } from './block-cache.ts';
import { hashOfKey } from './bloom.ts';
import { blockCountOf, blockPlaceAt, fenceAt } from './index-block.ts';
import type { TableMeta } from './table-meta.ts';
import { TableReader } from './table-reader.ts';
import type { TableSalvage } from './table-salvage.ts';
import { rebuildIndex } from './table-salvage.ts';

const ROWS = 2000;
const RANGES = [{ from: 'r', to: 's' }];

interface SetUp {
  readonly tables: MemoryTables;
  readonly meta: TableMeta;
  readonly reader: TableReader;
  readonly index: Uint8Array;
}

async function setUp(): Promise<SetUp> {
  const tables = new MemoryTables();
  const meta = tables.add(1, rowsOf('k', ROWS), RANGES);
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const reader = new TableReader({ source: tables, cache: new BlockCache(1e6), counters });
  return { tables, meta, reader, index: await reader.index(meta) };
}

async function salvageOf({ reader, meta }: SetUp): Promise<TableSalvage> {
  const { salvage } = await reader.verify(meta);
  if (salvage === undefined) throw new Error('nothing is damaged');
  return salvage;
}

async function keysOf(
  { reader, meta }: SetUp,
  salvage: TableSalvage,
  reverse = false,
): Promise<string[]> {
  const lenient = new LenientTables(reader, new Map([[meta.number, salvage]]));
  const cursor = lenient.cursor(meta, { from: '', reverse, readAhead: true });
  const keys: string[] = [];
  while (await cursor.next()) keys.push(cursor.key);
  return keys;
}

const allKeys = Array.from({ length: ROWS }, (_, row) => keyOf('k', row));

/** What is left when the keys that are said to be lost are. */
function keysLeft({ lost }: TableSalvage): string[] {
  return allKeys.filter((key) => !lost.some(({ from, to }) => from <= key && key < to));
}

describe('what can be had of a damaged table', () => {
  it('is all but the keys of a damaged block, and its fences say which', async () => {
    const table = await setUp();
    const { tables, meta, index } = table;
    for (const number of [0, 3, blockCountOf(index) - 1]) {
      const { offset } = blockPlaceAt(index, number);
      tables.damage(meta, offset + 20, 'disk');
      const salvage = await salvageOf(table);
      const left = keysLeft(salvage);
      expect(salvage.lost).toHaveLength(1);
      if (number > 0) expect(salvage.lost[0]?.from).toBe(fenceAt(index, number));
      expect(left.length).toBeLessThan(ROWS);
      expect(left.length).toBeGreaterThan(ROWS - 200);
      expect(await keysOf(table, salvage)).toEqual(left);
      expect(await keysOf(table, salvage, true)).toEqual(left.reverse());
      const { damages } = await table.reader.verify(meta);
      expect(damages.map(({ keys }) => keys)).toEqual([
        {
          from: bytesOfBinaryString(salvage.lost[0]?.from ?? ''),
          to: bytesOfBinaryString(salvage.lost[0]?.to ?? ''),
        },
      ]);
      tables.damage(meta, offset + 20, 'disk');
    }
  });

  it('is everything when only the index, the filter or the footer is damaged', async () => {
    const table = await setUp();
    const { tables, meta } = table;
    for (const offset of [meta.index.offset + 9, meta.filter.offset + 9, meta.sizeBytes - 3]) {
      tables.damage(meta, offset, 'disk');
      const salvage = await salvageOf(table);
      expect(salvage.lost).toEqual([]);
      expect(salvage.areRangesLost).toBe(false);
      expect(await keysOf(table, salvage)).toEqual(allKeys);
      tables.damage(meta, offset, 'disk');
    }
  });

  it('is all but the keys between two intact blocks when the index is damaged as well', async () => {
    const table = await setUp();
    const { tables, meta, index } = table;
    const damaged = [0, 4, 5, blockCountOf(index) - 1];
    for (const number of damaged)
      tables.damage(meta, blockPlaceAt(index, number).offset + 9, 'disk');
    tables.damage(meta, meta.index.offset + 9, 'disk');
    const salvage = await salvageOf(table);
    expect(salvage.badOffsets.size).toBe(3);
    const left = keysLeft(salvage);
    expect(await keysOf(table, salvage)).toEqual(left);
    expect(left.length).toBeGreaterThan(ROWS / 2);
    const lenient = new LenientTables(table.reader, new Map([[meta.number, salvage]]));
    for (const key of [left[0], left.at(-1)]) {
      const bytes = bytesOfBinaryString(key ?? '');
      expect(await lenient.get(meta, bytes, hashOfKey(bytes))).toBeDefined();
    }
  });

  it('has no range deletes when their block is damaged, and says so', async () => {
    const table = await setUp();
    const { tables, meta } = table;
    tables.damage(meta, (meta.ranges?.offset ?? 0) + 9, 'disk');
    const salvage = await salvageOf(table);
    expect(salvage).toMatchObject({ areRangesLost: true, lost: [] });
    expect(salvage.ranges.isEmpty).toBe(true);
    const { damages } = await table.reader.verify(meta);
    expect(damages[0]?.keys).toEqual({
      from: bytesOfBinaryString(meta.smallest),
      to: bytesOfBinaryString(meta.end),
    });
  });

  it('is found again block by block, as the index had them', async () => {
    const { tables, meta, index } = await setUp();
    const data = (tables.bytesOf(meta)[0] as Uint8Array).slice(0, meta.filter.offset);
    expect(rebuildIndex(data, meta.seed)).toEqual(index);
  });
});
