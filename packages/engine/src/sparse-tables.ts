/**
 * Which segment of tables is worth emptying when the tree is at rest.
 *
 * Compaction leaves holes: a segment is free again when all tables in it are gone, and those of one segment
 * do not go together. While there is much to write that is left alone, because what is sparse now soon
 * gets sparser by itself, and copying would cost more than it gains. At rest nothing goes any more, so that
 * the holes would stay for as long as nobody writes.
 */
import type { Catalog } from './catalog.ts';
import { SPARSE_SEGMENT_FILL, TABLE_HOLES_SHARE } from './limits.ts';

/** A segment of tables, and how many bytes of tables of the tree of now lie in it. */
export interface SparseSegment {
  readonly segment: number;
  readonly tableBytes: number;
}

/**
 * The emptiest closed segment of tables, if tables leave more than a part of their segments empty and it
 * is one of those that do. Tables that wait for a checkpoint to be let go count as gone.
 *
 * @param capacityBytes what a segment has room for.
 */
export function sparsestTableSegment(
  { segments, version }: Catalog,
  capacityBytes: number,
): SparseSegment | undefined {
  const bytesOf = new Map<number, number>();
  for (const { segment, sizeBytes } of version.tables()) {
    bytesOf.set(segment, (bytesOf.get(segment) ?? 0) + sizeBytes);
  }
  let best: SparseSegment | undefined;
  let bestBytes = capacityBytes * SPARSE_SEGMENT_FILL;
  let usedBytes = 0;
  let heldBytes = 0;
  for (const [segment, tableBytes] of bytesOf) {
    if (!segments.mayBeEmptied(segment)) continue;
    usedBytes += tableBytes;
    heldBytes += capacityBytes;
    if (tableBytes >= bestBytes) continue;
    best = { segment, tableBytes };
    bestBytes = tableBytes;
  }
  return heldBytes - usedBytes > heldBytes * TABLE_HOLES_SHARE ? best : undefined;
}
