/**
 * The parameters of the table format and what all blocks of a table have in common: docs/formats/table.md.
 *
 *     data block ... | filter | ranges | index | zeros | footer
 *
 * Every block begins with a CRC-32C of the rest of it that goes on from the seed of the table. That
 * seed is made of the claim's seed and the table's number, so that a block of another table, or of
 * what lay in the same place before, is never taken for one of this table.
 */
import { assert, crc32c, readUint32, writeUint32, writeUint64 } from '@dozo/base';
import { KEY_BYTES_MAX } from '../limits.ts';

/** Bytes of a data block, unless a single entry is longer. */
export const DATA_BLOCK_BYTES = 4096;

/** Each such entry of a data block has its key in full: where a search can begin. */
export const RESTART_INTERVAL = 16;

/** Bytes of the checksum that every block begins with. */
export const CHECKSUM_BYTES = 4;

/** The three lengths of an entry are below this: they take one byte or two. */
export const LENGTH_END = 1 << 14;

/** Bytes of an inline value at most: its entry's tail must be shorter than {@link LENGTH_END}. */
export const TABLE_INLINE_BYTES_MAX = 8192;

/** Bytes of an entry's tail before an inline value at most: kind and LSN. */
const TAIL_HEAD_BYTES_MAX = 9;

/** Bytes of an entry without value at most: three lengths, the key, and the tail of a pointer. */
const ENTRY_FIXED_BYTES_MAX = 3 * 2 + KEY_BYTES_MAX + 1 + 4 * 8;

assert(
  TAIL_HEAD_BYTES_MAX + TABLE_INLINE_BYTES_MAX < LENGTH_END,
  'a tail has a length of two bytes',
);
assert(KEY_BYTES_MAX + 1 < LENGTH_END, 'a bound has a length of two bytes');
assert(
  DATA_BLOCK_BYTES + ENTRY_FIXED_BYTES_MAX + TABLE_INLINE_BYTES_MAX < 65_536,
  'the offsets in a data block are uint16',
);

/**
 * The seed of a table's checksums.
 *
 * @param claimSeed the CRC-32C of the nonce of the claim that writes the table.
 */
export function tableSeedOf(claimSeed: number, tableNumber: number): number {
  const bytes = new Uint8Array(8);
  writeUint64(bytes, 0, tableNumber);
  return crc32c(bytes, claimSeed);
}

/** Puts the checksum in front of a block whose first four bytes are free for it. */
export function sealBlock(block: Uint8Array, seed: number): void {
  writeUint32(block, 0, crc32c(block.subarray(CHECKSUM_BYTES), seed));
}

/** Whether a block of any kind is as it was written. */
export function isBlockIntact(block: Uint8Array, seed: number): boolean {
  if (block.length < CHECKSUM_BYTES) return false;
  return readUint32(block, 0) === crc32c(block.subarray(CHECKSUM_BYTES), seed);
}
