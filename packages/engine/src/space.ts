/**
 * How much a device takes, and how many segments are kept back for what.
 *
 * Two bounds work together. A put is *accepted* only while the live data, with it, stay below the
 * usable bytes; what is accepted always finds room sooner or later, because reclaim can then gather
 * enough dead bytes. And a new segment is opened only while enough free ones are left: most for puts, one
 * less for deletes, and far less for what makes space. So on a full device deletes work, and what makes
 * space has always where to write.
 *
 * Where a few values fill a segment, what they leave empty at its end counts as taken, as long as they live. It
 * is seen, and not computed beforehand: how values of different lengths will lie beside each other nobody knows.
 *
 * Quarantined segments belong to somebody else: neither they nor what lies in them counts.
 */
import { limitsOf } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { INLINE_VALUE_BYTES_MAX, RESERVE_SEGMENTS_MIN, SEGMENT_FILL } from './limits.ts';
import { recordBytesOf } from './record.ts';
import type { SegmentTable } from './segment-table.ts';

/** What a group, or a table, is written for; each may go down to another number of available segments. */
export type SpaceClass =
  'checkpoint' | 'flush' | 'compaction' | 'moves' | 'table-moves' | 'shrink' | 'grow';

/**
 * How many segments must be available before one is opened for a class.
 *
 * - The last one is for the fence of the next start, which can free nothing before it has written that.
 * - Moves give back the segment that they empty at once, and so may go on while there is one more: without
 *   them the device could stand still with nothing but half-empty segments. Where all that is left of their
 *   segment does not fit the next one, they leave as much as copies of tables do.
 * - A checkpoint is short. It gives back the log before it and tables that are not part of the tree any more.
 * - Copies of tables and flushes give back theirs only with the checkpoint that follows: they leave it one.
 * - A compaction takes more than the others before it gives anything back: it leaves one to a flush.
 *
 * That holds where a checkpoint is a small part of a segment, as it is from 128 KiB of payload on.
 */
const NEEDED_SEGMENTS: Readonly<Record<SpaceClass, number>> = {
  checkpoint: 2,
  moves: 2,
  'table-moves': 3,
  flush: 3,
  compaction: 4,
  shrink: 6,
  grow: 7,
};

/** Where so many of the longest values fit a segment, the rest at its end is about what is kept free of each. */
const PACKED_VALUES_MIN = 8;

/** Bytes that an entry takes in a table beside its key and an inline value: fields, filter, index. */
const TABLE_ENTRY_BYTES = 24;

/**
 * Bytes that live records and tables can take of a device; what lies in the quarantined ones of its
 * segments does not count against it.
 */
export function usableBytesOf(geometry: Geometry, quarantinedCount = 0): number {
  const segments = Math.max(0, geometry.segmentCount - quarantinedCount - RESERVE_SEGMENTS_MIN);
  return Math.floor(segments * geometry.segmentPayloadBytes * SEGMENT_FILL);
}

/** Whether a value stands in the tree and not in the log. */
export function isInline(valueBytes: number): boolean {
  return valueBytes < INLINE_VALUE_BYTES_MAX;
}

/** What a key and its value are charged with. */
export function chargeOf(keyBytes: number, valueBytes: number): number {
  const inTable = keyBytes + TABLE_ENTRY_BYTES;
  return isInline(valueBytes)
    ? inTable + valueBytes
    : inTable + recordBytesOf(keyBytes, valueBytes);
}

/**
 * What full segments of the log leave empty at their ends, because no value of the kind that they hold fits
 * there: of values of 0.36 of a segment, two do. With large segments it is about what is kept free in any case.
 */
export function packingLossOf(geometry: Geometry, segments: SegmentTable): number {
  const { segmentPayloadBytes } = geometry;
  if (limitsOf(geometry).valueBytesMax * PACKED_VALUES_MIN <= segmentPayloadBytes) return 0;
  return segments.packingLossBytes(segmentPayloadBytes);
}

/** What entries of a memtable will take as a table. */
export function tableBytesOf(entryCount: number, dataBytes: number): number {
  return dataBytes + TABLE_ENTRY_BYTES * entryCount;
}

/** How many segments must be available before one is opened for a class. */
export function neededSegments(spaceClass: SpaceClass): number {
  return NEEDED_SEGMENTS[spaceClass];
}
