/**
 * What can still be had of a table of which some blocks are damaged.
 *
 * Data blocks are passed over where they are damaged; the index tells which keys they covered. Without an
 * index its blocks are found again: they lie one behind the other, and where one ends shows by its
 * checksum. Behind one that is damaged the next one is looked for byte by byte, so a gap between two
 * blocks is what was damaged, with all the keys between the two. Filters are made anew from the keys; range
 * deletes stand nowhere else, and are lost with their block.
 */
import { readUint16 } from '@dozo/base';
import type { KeyInterval, RangeSet } from '../tree/range-set.ts';
import { EntryReader } from './entry-reader.ts';
import { blockCountOf, encodeIndex, fenceAt, shortFence } from './index-block.ts';
import { CHECKSUM_BYTES, RESTART_INTERVAL, isBlockIntact } from './table-format.ts';
import type { TableMeta } from './table-meta.ts';

/** Offsets in a data block are uint16. */
const BLOCK_BYTES_END = 65_536;
const RESTART_BYTES = 2;

/** See the file comment. */
export interface TableSalvage {
  /** Leads to all data blocks and to the gaps between them. */
  readonly index: Uint8Array;
  /** Offsets of the data blocks and gaps that are damaged. */
  readonly badOffsets: ReadonlySet<number>;
  /** The keys that they covered: what the table said of them is not known. In order. */
  readonly lost: readonly KeyInterval[];
  /** Its range deletes; none where they are lost. */
  readonly ranges: RangeSet;
  readonly areRangesLost: boolean;
  /** Which keys it had at most; undefined where the block is damaged. */
  readonly filter: Uint8Array | undefined;
}

/** The keys that a data block or gap covers, by the fences around it and the bounds of the table. */
export function coveredBy(meta: TableMeta, index: Uint8Array, blockNumber: number): KeyInterval {
  const fence = fenceAt(index, blockNumber);
  const isLast = blockNumber + 1 >= blockCountOf(index);
  const next = isLast ? meta.end : fenceAt(index, blockNumber + 1);
  return {
    from: fence > meta.smallest ? fence : meta.smallest,
    to: next < meta.end ? next : meta.end,
  };
}

/** An index for the data blocks that are found in `data`, all of a table up to its filter, and the gaps. */
export function rebuildIndex(data: Uint8Array, seed: number): Uint8Array {
  const ends: number[] = [];
  const fences: Uint8Array[] = [];
  const finder = new BlockFinder(data, seed);
  let lastKey: Uint8Array | undefined;
  let at = 0;
  while (at < data.length) {
    let start = at;
    while (start < data.length && !finder.findAt(start)) start++;
    if (start > at) {
      ends.push(start);
      // The shortest key that is greater than the last one before the gap.
      fences.push(lastKey === undefined ? new Uint8Array(0) : withZero(lastKey));
    }
    if (start === data.length) break;
    const { firstKey } = finder;
    const isAfterGap = start > at;
    ends.push(finder.end);
    if (ends.length === 1) fences.push(new Uint8Array(0));
    else
      fences.push(isAfterGap || lastKey === undefined ? firstKey : shortFence(lastKey, firstKey));
    lastKey = finder.lastKey;
    at = finder.end;
  }
  return encodeIndex({ ends, fences }, seed);
}

/** Tells whether an intact block begins at a place, and where it ends. */
class BlockFinder {
  end = 0;
  firstKey: Uint8Array = new Uint8Array(0);
  lastKey: Uint8Array = new Uint8Array(0);
  readonly #data: Uint8Array;
  readonly #seed: number;
  readonly #reader = new EntryReader();

  constructor(data: Uint8Array, seed: number) {
    this.#data = data;
    this.#seed = seed;
    this.#reader.bytes = data;
  }

  findAt(start: number): boolean {
    const data = this.#data;
    const reader = this.#reader;
    const first = start + CHECKSUM_BYTES;
    // The first entry has its key in full.
    if (data[first] !== 0) return false;
    reader.isDamaged = false;
    reader.restartAt(first);
    reader.end = Math.min(data.length, start + BLOCK_BYTES_END);
    for (let entryCount = 1; reader.next(); entryCount++) {
      if (entryCount === 1) this.firstKey = reader.key.slice(0, reader.keyBytes);
      const restartCount = Math.ceil(entryCount / RESTART_INTERVAL);
      const entriesEnd = reader.position;
      const end = entriesEnd + RESTART_BYTES * (restartCount + 1);
      if (end > data.length) return false;
      const couldEnd =
        readUint16(data, entriesEnd) === CHECKSUM_BYTES &&
        readUint16(data, end - RESTART_BYTES) === restartCount;
      if (!couldEnd || !isBlockIntact(data.subarray(start, end), this.#seed)) continue;
      this.end = end;
      this.lastKey = reader.key.slice(0, reader.keyBytes);
      return true;
    }
    return false;
  }
}

function withZero(key: Uint8Array): Uint8Array {
  const longer = new Uint8Array(key.length + 1);
  longer.set(key);
  return longer;
}
