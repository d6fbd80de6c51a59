/**
 * The range deletes of a table, and the same packed in two arrays for a merge.
 *
 *     uint32 checksum | uint32 count | for each: uint16 bytes | from | uint16 bytes | to
 *
 * The intervals `[from, to)` are in order and do not overlap. They hide what older tables hold.
 */
import { ByteReader, ByteWriter, binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import { writeBinaryString } from '@dozo/base';
import { RangeSet } from '../tree/range-set.ts';
import type { KeyInterval } from '../tree/range-set.ts';
import { CHECKSUM_BYTES, sealBlock } from './table-format.ts';
import { BOUND_BYTES_MAX } from './table-meta.ts';

/** Bounds of intervals one after the other, `from` and `to` in turn; can go to another thread. */
export interface PackedRanges {
  readonly bytes: Uint8Array;
  /** Where each bound ends in `bytes`: twice as many as there are intervals. */
  readonly ends: Uint32Array;
}

/** Packs the range deletes of a source for a merge. */
export function packRanges(ranges: RangeSet): PackedRanges {
  const bounds = ranges.list().flatMap(({ from, to }) => [from, to]);
  const bytes = new Uint8Array(bounds.reduce((sum, bound) => sum + bound.length, 0));
  const ends = new Uint32Array(bounds.length);
  let at = 0;
  for (const [index, bound] of bounds.entries()) {
    writeBinaryString(bound, bytes, at);
    at += bound.length;
    ends[index] = at;
  }
  return { bytes, ends };
}

/** Makes the ranges block of a table. */
export function encodeRanges(ranges: RangeSet, seed: number): Uint8Array {
  const writer = new ByteWriter();
  writer.zeros(CHECKSUM_BYTES).uint32(ranges.size);
  for (const { from, to } of ranges.list()) {
    writer.uint16(from.length).bytes(bytesOfBinaryString(from));
    writer.uint16(to.length).bytes(bytesOfBinaryString(to));
  }
  const block = writer.finish();
  sealBlock(block, seed);
  return block;
}

/** Reads a ranges block whose checksum is right. Throws `CodecError`. */
export function decodeRanges(block: Uint8Array): RangeSet {
  const reader = new ByteReader(block, 'the range deletes of a table');
  reader.skip(CHECKSUM_BYTES);
  const intervals: KeyInterval[] = [];
  let previous = '';
  for (let count = reader.uint32(); count > 0; count--) {
    const from = decodeBound(reader);
    const to = decodeBound(reader);
    if (from < previous || to <= from) throw reader.invalid('intervals are not in order');
    intervals.push({ from, to });
    previous = to;
  }
  reader.expectEnd();
  return new RangeSet(intervals);
}

function decodeBound(reader: ByteReader): string {
  const sizeBytes = reader.uint16();
  if (sizeBytes > BOUND_BYTES_MAX) throw reader.invalid('a bound is too long');
  return binaryStringOf(reader.view(sizeBytes));
}
