/**
 * The index of a table: for every data block its end and its *fence*, the key from which on it is the
 * one to look into.
 *
 *     uint32 checksum | uint32 block count n | uint16 prefix bytes | prefix
 *     | n x uint32 end of the block in the table
 *     | n x uint32 end of the fence among the fences
 *     | fences, each without the prefix that all but the first have in common
 *
 * The fence of block k lies in (last key of block k-1, first key of block k] and is the shortest such
 * key; the fence of block 0 is empty and has no prefix. Blocks lie one after the other from offset 0
 * on. A key is in the last block whose fence is not greater, or nowhere.
 */
import { binaryStringOf, readUint16, readUint32, writeUint16, writeUint32 } from '@dozo/base';
import { CHECKSUM_BYTES, sealBlock } from './table-format.ts';
import type { BlockPlace } from './table-meta.ts';

const COUNT_OFFSET = CHECKSUM_BYTES;
const PREFIX_BYTES_OFFSET = 8;
const PREFIX_OFFSET = 10;

/** A sequence of data blocks: where each ends, and their fences (that of the first is empty). */
export interface BlockList {
  readonly ends: readonly number[];
  readonly fences: readonly Uint8Array[];
}

/** Makes the index block of a table. */
export function encodeIndex(list: BlockList, seed: number): Uint8Array {
  const { ends, fences } = list;
  const first = fences[1];
  const last = fences.at(-1);
  const prefixBytes =
    first === undefined || last === undefined ? 0 : sharedBytes(first, last, first.length);
  let fenceBytes = 0;
  for (const [number, fence] of fences.entries()) {
    fenceBytes += number === 0 ? 0 : fence.length - prefixBytes;
  }
  const endsAt = PREFIX_OFFSET + prefixBytes;
  const fencesAt = endsAt + 8 * ends.length;
  const block = new Uint8Array(fencesAt + fenceBytes);
  writeUint32(block, COUNT_OFFSET, ends.length);
  writeUint16(block, PREFIX_BYTES_OFFSET, prefixBytes);
  if (first !== undefined) block.set(first.subarray(0, prefixBytes), PREFIX_OFFSET);
  let fenceEnd = 0;
  for (const [number, end] of ends.entries()) {
    writeUint32(block, endsAt + 4 * number, end);
    const fence = fences[number];
    if (number > 0 && fence !== undefined) {
      block.set(fence.subarray(prefixBytes), fencesAt + fenceEnd);
      fenceEnd += fence.length - prefixBytes;
    }
    writeUint32(block, endsAt + 4 * (ends.length + number), fenceEnd);
  }
  sealBlock(block, seed);
  return block;
}

/** How many data blocks a table has. */
export function blockCountOf(index: Uint8Array): number {
  return readUint32(index, COUNT_OFFSET);
}

/**
 * Number of the data block in which `key` is, if it is in the table; -1 when the table has none. The
 * same block is where a search for the first key not less than `key` begins: if all of its keys are
 * less, it is the first of the next block.
 *
 * @param index an index block whose checksum is right.
 */
export function findInIndex(index: Uint8Array, key: Uint8Array): number {
  const count = blockCountOf(index);
  if (count < 2) return count - 1;
  const prefixBytes = readUint16(index, PREFIX_BYTES_OFFSET);
  const order = compareWithPrefix(index, prefixBytes, key);
  if (order < 0) return 0;
  if (order > 0) return count - 1;
  const fenceEndsAt = PREFIX_OFFSET + prefixBytes + 4 * count;
  const fencesAt = fenceEndsAt + 4 * count;
  // Fence `low` is not greater than the key, fence `high` is, or there is none.
  let low = 0;
  let high = count;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    const start = fencesAt + readUint32(index, fenceEndsAt + 4 * middle - 4);
    const end = fencesAt + readUint32(index, fenceEndsAt + 4 * middle);
    if (isFenceGreater(index, start, end, key, prefixBytes)) high = middle;
    else low = middle;
  }
  return low;
}

/** Where data block `number` lies in the table; `number` is in `[0, blockCountOf(index))`. */
export function blockPlaceAt(index: Uint8Array, number: number): BlockPlace {
  const endsAt = PREFIX_OFFSET + readUint16(index, PREFIX_BYTES_OFFSET);
  const offset = number === 0 ? 0 : readUint32(index, endsAt + 4 * number - 4);
  return { offset, sizeBytes: readUint32(index, endsAt + 4 * number) - offset };
}

/** The fence of data block `number` as a binary string; that of block 0 is empty. */
export function fenceAt(index: Uint8Array, number: number): string {
  if (number === 0) return '';
  const count = blockCountOf(index);
  const prefixBytes = readUint16(index, PREFIX_BYTES_OFFSET);
  const fenceEndsAt = PREFIX_OFFSET + prefixBytes + 4 * count;
  const fencesAt = fenceEndsAt + 4 * count;
  const start = fencesAt + readUint32(index, fenceEndsAt + 4 * number - 4);
  const end = fencesAt + readUint32(index, fenceEndsAt + 4 * number);
  const prefix = binaryStringOf(index, PREFIX_OFFSET, PREFIX_OFFSET + prefixBytes);
  return prefix + binaryStringOf(index, start, end);
}

/** The shortest key in `(before, first]`; `before < first`. A view of `first`. */
export function shortFence(before: Uint8Array, first: Uint8Array): Uint8Array {
  return first.subarray(0, sharedBytes(before, first, first.length) + 1);
}

/** How many bytes at the begin of both are the same, at most `bytesMax`. */
function sharedBytes(left: Uint8Array, right: Uint8Array, bytesMax: number): number {
  const end = Math.min(left.length, right.length, bytesMax);
  let shared = 0;
  while (shared < end && left[shared] === right[shared]) shared++;
  return shared;
}

/** 0 when `key` begins with the prefix; else how it compares with all keys that do. */
function compareWithPrefix(index: Uint8Array, prefixBytes: number, key: Uint8Array): number {
  for (let at = 0; at < prefixBytes; at++) {
    if (at >= key.length) return -1;
    const difference = (key[at] as number) - (index[PREFIX_OFFSET + at] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether the fence `index[start, end)`, with the prefix that the key has too, is greater. */
function isFenceGreater(
  index: Uint8Array,
  start: number,
  end: number,
  key: Uint8Array,
  prefixBytes: number,
): boolean {
  let at = prefixBytes;
  for (let fenceAt = start; fenceAt < end; fenceAt++, at++) {
    if (at >= key.length) return true;
    const difference = (index[fenceAt] as number) - (key[at] as number);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
