import { bytesOfBinaryString } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, keysAround, rowsArbitrary, rowsOfBlock } from '../../tests/table-content.ts';
import { tableOf, textOfKey } from '../../tests/table-content.ts';
import { TreeEntry } from '../tree/tree-entry.ts';
import { BlockCursor, findInBlock } from './block.ts';

const rowsOfBlocks = rowsArbitrary(150).filter((rows) => rows.length > 0);

describe('findInBlock', () => {
  it('finds every entry of the block, and nothing else', () => {
    fc.assert(
      fc.property(rowsOfBlocks, (rows) => {
        for (const block of blocksOf(tableOf(rows))) {
          const inBlock = new Map(rowsOfBlock(block));
          for (const key of keysAround([...inBlock])) {
            expect(findInBlock(block, key)).toEqual(inBlock.get(textOfKey(key)));
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('gives a value that is a view: no copy is made of what most readers only look at', () => {
    const value = Uint8Array.of(1, 2, 3);
    const [block] = blocksOf(tableOf([['a', TreeEntry.inline(1, value)]]));
    expect(block).toBeDefined();
    if (block === undefined) return;
    const found = findInBlock(block, bytesOfBinaryString('a'));
    expect(found?.value).toEqual(value);
    expect(found?.value.buffer).toBe(block.buffer);
  });
});

describe('BlockCursor', () => {
  it('goes to the first entry that is not less, and from there in both directions', () => {
    fc.assert(
      fc.property(rowsOfBlocks, (rows) => {
        for (const block of blocksOf(tableOf(rows))) {
          const all = rowsOfBlock(block);
          const cursor = new BlockCursor(block);
          for (const key of keysAround(all.slice(0, 20))) {
            const text = textOfKey(key);
            const at = all.findIndex((row) => row[0] >= text);
            expect(cursor.seek(key)).toBe(at >= 0);
            expect(cursor.isValid).toBe(at >= 0);
            if (at >= 0) {
              expect([cursor.key, cursor.entry]).toEqual(all[at]);
              expect(cursor.previous()).toBe(at > 0);
              if (at > 0) expect([cursor.key, cursor.entry]).toEqual(all[at - 1]);
            }
            const below = all.findLast((row) => row[0] < text);
            expect(cursor.seekBelow(key)).toBe(below !== undefined);
            if (below !== undefined) expect([cursor.key, cursor.entry]).toEqual(below);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('meets the same entries backwards as forwards', () => {
    fc.assert(
      fc.property(rowsOfBlocks, (rows) => {
        for (const block of blocksOf(tableOf(rows))) {
          const backwards = [];
          const cursor = new BlockCursor(block);
          for (let isOn = cursor.seekToLast(); isOn; isOn = cursor.previous()) {
            backwards.push([cursor.key, cursor.entry]);
          }
          expect(backwards.reverse()).toEqual(rowsOfBlock(block));
        }
      }),
    );
  });
});
