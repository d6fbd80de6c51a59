import { AssertionError, bytesOfBinaryString } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLAIM_SEED, blocksOf, keyArbitrary, partOf } from '../../tests/table-content.ts';
import {
  rangesArbitrary,
  rowsArbitrary,
  rowsOfBlock,
  rowsOfTable,
  tableOf,
} from '../../tests/table-content.ts';
import { BLOCK_BYTES } from '../limits.ts';
import { RangeSet } from '../tree/range-set.ts';
import { TreeEntry } from '../tree/tree-entry.ts';
import { hashOfKey, mayContain } from './bloom.ts';
import { findInBlock } from './block.ts';
import { blockPlaceAt, findInIndex } from './index-block.ts';
import { decodeRanges } from './ranges-block.ts';
import { TableBuilder, placeTable } from './table-builder.ts';
import { decodeFooter } from './table-footer.ts';
import { DATA_BLOCK_BYTES, TABLE_INLINE_BYTES_MAX } from './table-format.ts';
import { isBlockIntact, tableSeedOf } from './table-format.ts';

describe('a table', () => {
  it('gives back its entries and range deletes, and has right counts, bounds and checksums', () => {
    fc.assert(
      fc.property(rowsArbitrary(120), rangesArbitrary(), (rows, ranges) => {
        fc.pre(rows.length > 0 || !ranges.isEmpty);
        const table = tableOf(rows, ranges);
        const { content } = table;
        expect(rowsOfTable(table)).toEqual(rows);
        const rangesBlock = content.ranges && partOf(table, content.ranges);
        const found = rangesBlock === undefined ? RangeSet.EMPTY : decodeRanges(rangesBlock);
        expect(found.list()).toEqual(ranges.list());
        const entries = rows.map((row) => row[1]);
        expect(content).toMatchObject({
          entryCount: rows.length,
          deleteCount: entries.filter((entry) => entry.kind === 0).length,
          pointerCount: entries.filter((entry) => entry.kind === 2).length,
          rangeCount: ranges.size,
          dataBytes: rows.reduce((sum, [key, entry]) => sum + key.length + entry.value.length, 0),
          lsnMax: Math.max(0, ...entries.map((entry) => entry.lsn)),
        });
        const bounds = ranges.list().flatMap(({ from, to }) => [from, to]);
        const keys = rows.map((row) => row[0]);
        expect(content.smallest).toBe([...keys, ...bounds].toSorted()[0]);
        expect(content.end).toBe([...keys.map((key) => `${key}\0`), ...bounds].toSorted().at(-1));
        const { filter, index } = content;
        for (const block of [...blocksOf(table), partOf(table, filter), partOf(table, index)]) {
          expect(isBlockIntact(block, content.seed)).toBe(true);
        }
        if (rangesBlock !== undefined) expect(isBlockIntact(rangesBlock, content.seed)).toBe(true);
        expect(decodeFooter(table.bytes.subarray(-BLOCK_BYTES))).toEqual(content);
      }),
    );
  });

  it('is asked for a key through its filter, its index and a block', () => {
    fc.assert(
      fc.property(rowsArbitrary(120), (rows) => {
        fc.pre(rows.length > 0);
        const table = tableOf(rows);
        const index = partOf(table, table.content.index);
        for (const [text, entry] of rows) {
          const key = bytesOfBinaryString(text);
          expect(mayContain(partOf(table, table.content.filter), hashOfKey(key))).toBe(true);
          const block = partOf(table, blockPlaceAt(index, findInIndex(index, key)));
          expect(findInBlock(block, key)).toEqual(entry);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('keeps its data blocks to their size, but for single entries that are longer', () => {
    fc.assert(
      fc.property(rowsArbitrary(200), (rows) => {
        fc.pre(rows.length > 0);
        for (const block of blocksOf(tableOf(rows))) {
          if (rowsOfBlock(block).length > 1) {
            expect(block.length).toBeLessThanOrEqual(DATA_BLOCK_BYTES);
          }
        }
      }),
    );
  });

  it('keeps a data block to its size where a restart has a long key that the one before shares', () => {
    const prefix = 'k'.repeat(1000);
    for (let lastBytes = 0; lastBytes < 400; lastBytes += 10) {
      const rows = Array.from({ length: 17 }, (_, n) => {
        const value = new Uint8Array(n === 15 ? lastBytes : 160);
        return [prefix + String(n + 10), TreeEntry.inline(n, value)] as const;
      });
      for (const block of blocksOf(tableOf(rows))) {
        expect(block.length).toBeLessThanOrEqual(DATA_BLOCK_BYTES);
      }
    }
  });

  it('takes the longest keys and values', () => {
    const value = new Uint8Array(TABLE_INLINE_BYTES_MAX).fill(7);
    const rows = ['a', 'b', 'c'].map(
      (letter, n) => [letter.repeat(1536), TreeEntry.inline(2 ** 53 - 1 - n, value)] as const,
    );
    expect(rowsOfTable(tableOf(rows))).toEqual(rows);
  });

  it('is found damaged wherever one bit of a block is wrong', () => {
    const rows = fc.sample(rowsArbitrary(40), { numRuns: 1, seed: 3 })[0] ?? [];
    const ranges = RangeSet.of([{ from: 'a', to: 'b' }]);
    const table = tableOf(rows, ranges);
    const { seed, filter, index, ranges: rangesPlace } = table.content;
    const parts = [...blocksOf(table), partOf(table, filter), partOf(table, index)];
    if (rangesPlace !== undefined) parts.push(partOf(table, rangesPlace));
    for (const block of parts) {
      for (let bit = 0; bit < 8 * block.length; bit += block.length > 1000 ? 7 : 1) {
        const before = block[bit >>> 3] ?? 0;
        block[bit >>> 3] = before ^ (1 << (bit & 7));
        expect(isBlockIntact(block, seed)).toBe(false);
        block[bit >>> 3] = before;
      }
    }
    expect(parts.every((block) => isBlockIntact(block, seed))).toBe(true);
  });

  it('has blocks that are not those of another table, nor of another claim', () => {
    const rows = [['a', TreeEntry.delete(1)]] as const;
    const [block] = blocksOf(tableOf(rows, RangeSet.EMPTY, 7));
    expect(block).toBeDefined();
    if (block === undefined) return;
    expect(isBlockIntact(block, tableSeedOf(CLAIM_SEED, 7))).toBe(true);
    expect(isBlockIntact(block, tableSeedOf(CLAIM_SEED, 8))).toBe(false);
    expect(isBlockIntact(block, tableSeedOf(CLAIM_SEED + 1, 7))).toBe(false);
  });
});

describe('TableBuilder', () => {
  it('is full before the table is longer than it should be', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 16, max: 64 }), (valueBytes, blocks) => {
        const targetBytes = blocks * BLOCK_BYTES;
        const builder = new TableBuilder({ number: 1, seed: 1, targetBytes });
        const value = new Uint8Array(valueBytes);
        for (let n = 0; !builder.isFull; n++) {
          builder.add(`key ${String(n).padStart(8, '0')}`, TreeEntry.inline(n, value));
        }
        const { bytes } = builder.finish();
        expect(bytes.length).toBeLessThanOrEqual(targetBytes);
        expect(bytes.length).toBeGreaterThanOrEqual(targetBytes - 4 * BLOCK_BYTES);
      }),
      { numRuns: 30 },
    );
  });

  it('takes keys as bytes and as binary strings', () => {
    fc.assert(
      fc.property(keyArbitrary, (key) => {
        const [fromText, fromBytes] = [key, bytesOfBinaryString(key)].map((form) => {
          const builder = new TableBuilder({ number: 1, seed: 1, targetBytes: 65_536 });
          builder.add(form, TreeEntry.delete(1));
          return builder.finish().bytes;
        });
        expect(fromText).toEqual(fromBytes);
      }),
    );
  });

  it('refuses keys that do not ascend, keys that are empty or too long, and tables of nothing', () => {
    const builder = new TableBuilder({ number: 1, seed: 1, targetBytes: 65_536 });
    expect(() => builder.finish()).toThrow(AssertionError);
    builder.add('b', TreeEntry.delete(1));
    for (const key of ['b', 'a', '', 'c'.repeat(1537)]) {
      expect(() => builder.add(key, TreeEntry.delete(1))).toThrow(AssertionError);
    }
    expect(() => builder.add(new Uint8Array(1537), TreeEntry.delete(1))).toThrow(AssertionError);
    const tooLong = TreeEntry.inline(1, new Uint8Array(TABLE_INLINE_BYTES_MAX + 1));
    expect(() => builder.add('c', tooLong)).toThrow(AssertionError);
  });

  it('gives a content that becomes a meta with a place', () => {
    const { content } = tableOf([['a', TreeEntry.delete(1)]]);
    const place = { segment: 4, ordinal: 5, offset: 4096 };
    expect(placeTable(content, place)).toEqual({ ...content, ...place });
  });
});
