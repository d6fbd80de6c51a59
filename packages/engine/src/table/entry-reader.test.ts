import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, tableOf } from '../../tests/table-content.ts';
import { TreeEntry } from '../tree/tree-entry.ts';
import { EntryReader, numberEnd, readNumber, writeNumber } from './entry-reader.ts';

/** How many entries are read of a block, and whether it is found to be damaged. */
function read(block: Uint8Array): { count: number; isDamaged: boolean } {
  const reader = new EntryReader();
  reader.open(block, 0, block.length);
  let count = 0;
  while (reader.next()) count++;
  return { count, isDamaged: reader.isDamaged };
}

/** A block of one restart with these entries, without a checksum. */
function blockOf(...entries: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from([0, 0, 0, 0, ...entries.flat(), 4, 0, 1, 0]);
}

/** Shared 0, one byte of key, a tail of two: the delete of "a" with LSN 5. */
const first = [0, 1, 2, 97, 0, 5];

describe('EntryReader', () => {
  it('reads entries up to the restarts', () => {
    expect(read(blockOf(first, [1, 1, 2, 98, 1, 6]))).toEqual({ count: 2, isDamaged: false });
  });

  it.each([
    ['shares more than the key before has', [2, 1, 2, 98, 0, 6]],
    ['has a tail past the end', [1, 1, 3, 98, 0, 6]],
    ['has a key past the end', [1, 100, 2, 98, 0, 6]],
    ['has no tail', [1, 4, 0, 98, 98, 98, 98]],
    ['has a tail without LSN', [1, 3, 1, 98, 98, 98, 0]],
    ['is of a kind that there is not', [1, 1, 2, 98, 3, 6]],
    ['has a key that is too long', [1, 0x80, 12, 2, ...new Array<number>(1536).fill(98), 0, 6]],
    ['is cut off in its lengths', [0x80]],
  ])('finds the block damaged when an entry %s', (_, entry) => {
    expect(read(blockOf(first, entry))).toEqual({ count: 1, isDamaged: true });
  });

  it.each([
    ['is too short', Uint8Array.of(0, 0, 0, 0, 1)],
    ['has no restarts', Uint8Array.from([0, 0, 0, 0, ...first, 0, 0])],
    ['has more restarts than room', Uint8Array.from([0, 0, 0, 0, ...first, 4, 0, 9, 0])],
  ])('finds the block damaged when it %s', (_, block) => {
    expect(read(block)).toEqual({ count: 0, isDamaged: true });
  });

  it('comes to an end on bytes of any kind', () => {
    const rows = Array.from(
      { length: 40 },
      (_, n) => [`key ${String(n + 10)}`, TreeEntry.delete(n)] as const,
    );
    const [block = new Uint8Array(0)] = blocksOf(tableOf(rows));
    let damagedCount = 0;
    const note = (bytes: Uint8Array): void => {
      if (read(bytes).isDamaged) damagedCount++;
    };
    for (let length = 0; length < block.length; length++) note(block.slice(0, length));
    for (let at = 4; at < block.length; at++) {
      const changed = block.slice();
      changed[at] = 255;
      note(changed);
    }
    expect(damagedCount).toBeGreaterThan(block.length / 4);
  });
});

describe('the numbers of a tail', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(70_000), fc.nat(2 ** 32)), (value) => {
        const bytes = new Uint8Array(10).fill(0xff);
        const end = writeNumber(bytes, 1, value);
        expect(end).toBeLessThanOrEqual(9);
        expect([readNumber(bytes, 1), numberEnd(bytes, 1)]).toEqual([value, end]);
      }),
    );
  });
});
