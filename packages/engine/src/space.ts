/**
 * How much a device takes, and how many segments are kept back for what.
 *
 * Two bounds work together. A put is *accepted* only while the live data, with it, stay below the
 * usable bytes; what is accepted always finds room sooner or later, because reclaim can then gather
 * enough dead bytes. And the log opens a new segment only while enough free ones are left: reclaim and
 * index snapshots may use the last ones, deletes all but those, puts all but those and one more. So
 * on a full device deletes work, and reclaim and snapshots always have where to write.
 *
 * Quarantined segments belong to somebody else: neither they nor what lies in them counts.
 */
import type { Geometry } from './geometry.ts';
import { indexEntryBytesOf } from './index-page.ts';
import { RESERVE_SEGMENTS_MIN, SEGMENT_FILL } from './limits.ts';
import { recordBytesOf } from './record.ts';

/**
 * Copies of its index entry that each key is charged with: the pages of the current snapshot, of the
 * next one, and the room that lets the one replace the other.
 */
const INDEX_COPIES = 3;

/** What a group is written for; each may go down to another number of free segments. */
export type SpaceClass = 'maintenance' | 'shrink' | 'grow';

/**
 * Bytes that live records and their index can take of a device; what lies in the quarantined ones of its
 * segments does not count against it.
 */
export function usableBytesOf(geometry: Geometry, quarantinedCount = 0): number {
  const segments = Math.max(0, geometry.segmentCount - quarantinedCount - RESERVE_SEGMENTS_MIN);
  return Math.floor(segments * geometry.segmentPayloadBytes * SEGMENT_FILL);
}

/** What a key and its value are charged with. */
export function chargeOf(keyBytes: number, valueBytes: number): number {
  return recordBytesOf(keyBytes, valueBytes) + INDEX_COPIES * indexEntryBytesOf(keyBytes);
}

/** What the live data are charged with in all. */
export function chargedBytes(liveBytes: number, indexBytes: number): number {
  return liveBytes + INDEX_COPIES * indexBytes;
}

/** How many segments must be available before one is opened for a class. */
export function neededSegments(
  spaceClass: SpaceClass,
  indexBytes: number,
  geometry: Geometry,
): number {
  if (spaceClass === 'maintenance') return 1;
  const snapshotSegments = Math.ceil(indexBytes / geometry.segmentPayloadBytes);
  return snapshotSegments + (spaceClass === 'shrink' ? 2 : 3);
}
