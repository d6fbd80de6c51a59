import { bytesOfBinaryString } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, keysAround, partOf, rowsArbitrary } from '../../tests/table-content.ts';
import { rowsOfBlock, tableOf, textOfKey } from '../../tests/table-content.ts';
import type { Row } from '../../tests/table-content.ts';
import { TreeEntry } from '../tree/tree-entry.ts';
import { blockCountOf, blockPlaceAt, fenceAt, findInIndex, shortFence } from './index-block.ts';

const manyRows = Array.from({ length: 400 }, (_, n): Row => {
  const entry = TreeEntry.inline(n, new Uint8Array(n % 100));
  return [`bucket/${String(n * n).padStart(6, '0')}`, entry];
});

describe('the index of a table', () => {
  it('leads to the block of every key, and from any key to the first that is not less', () => {
    fc.assert(
      fc.property(rowsArbitrary(300), (rows) => {
        fc.pre(rows.length > 0);
        const table = tableOf(rows);
        const index = partOf(table, table.content.index);
        const blocks = blocksOf(table).map(rowsOfBlock);
        expect(blockCountOf(index)).toBe(blocks.length);
        for (const key of keysAround(rows)) {
          const text = textOfKey(key);
          const number = findInIndex(index, key);
          const exact = blocks.findIndex((block) => block.some((row) => row[0] === text));
          if (exact >= 0) expect(number).toBe(exact);
          const first = blocks.findIndex((block) => block.some((row) => row[0] >= text));
          expect([number, number + 1]).toContain(first < 0 ? blocks.length : first);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('has the places of the blocks, one after the other up to the filter', () => {
    const table = tableOf(manyRows);
    const index = partOf(table, table.content.index);
    let offset = 0;
    for (let number = 0; number < blockCountOf(index); number++) {
      const place = blockPlaceAt(index, number);
      expect(place.offset).toBe(offset);
      offset += place.sizeBytes;
    }
    expect(offset).toBe(table.content.filter.offset);
  });

  it('separates two blocks with the shortest fence', () => {
    const fence = (before: string, first: string): string =>
      textOfKey(shortFence(bytesOfBinaryString(before), bytesOfBinaryString(first)));
    expect(fence('alpha', 'beta and more')).toBe('b');
    expect(fence('alpha', 'alphabet')).toBe('alphab');
    expect(fence('alpha 1', 'alpha 2')).toBe('alpha 2');
    const table = tableOf(manyRows);
    const index = partOf(table, table.content.index);
    const blocks = blocksOf(table).map(rowsOfBlock);
    expect(blocks.length).toBeGreaterThan(3);
    for (const [number, block] of blocks.entries()) {
      const before = blocks[number - 1]?.at(-1)?.[0];
      const first = block[0]?.[0] ?? '';
      expect(fenceAt(index, number)).toBe(before === undefined ? '' : fence(before, first));
    }
  });
});
