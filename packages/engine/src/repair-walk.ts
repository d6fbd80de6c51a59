/**
 * Walks one use of a segment behind damage: what cannot be read as groups is a gap, and inside of it
 * records are looked for one by one.
 *
 * A gap is bounded by groups of the same use, or by an end that is known, so all that lies in it was
 * written in that use: a record in it whose checksum fits is one of the log. What a batch changed may come
 * back in parts; the part that does not is what was damaged.
 */
import type { GroupHeader } from './group.ts';
import { GROUP_HEADER_BYTES, decodeGroupHeader, padded } from './group.ts';
import { BLOCK_BYTES, KEY_BYTES_MAX } from './limits.ts';
import type { LogSource, SegmentUse, WalkedGroup } from './log-walk.ts';
import { areValuesIntact } from './log-walk.ts';
import {
  RECORD_CHECKPOINT_PAGE,
  RECORD_DELETE_RANGE,
  RECORD_MANIFEST,
  RECORD_PUT,
  decodeRecordHead,
} from './record.ts';
import type { RecordHead } from './record.ts';

/** What of a use is walked. */
export interface RepairStretch {
  readonly use: SegmentUse;
  readonly start: number;
  readonly firstGroup: number;
  /** Where it ends for certain; undefined: where no later group shows that it went on. */
  readonly end: number | undefined;
  /** Whatever begins below this offset had been flushed. */
  readonly flushedEnd: number;
}

/** A place that holds no group any more. */
export interface LogGap {
  /** Byte offsets in the segment. */
  readonly start: number;
  readonly end: number;
  /** The header of the one group that it is, where that is intact. */
  readonly header: GroupHeader | undefined;
  /** All of it. */
  readonly bytes: Uint8Array;
}

export interface RepairVisitor {
  group(group: WalkedGroup): void;
  gap(gap: LogGap): void;
}

/** Walks a stretch and resolves with where it ends. */
export async function walkDamaged(
  source: LogSource,
  stretch: RepairStretch,
  visitor: RepairVisitor,
): Promise<number> {
  const { use, end, flushedEnd } = stretch;
  const strideBytes = source.geometry.segmentStrideBytes;
  const limit = end ?? strideBytes;
  let next = { offset: stretch.start, groupIndex: stretch.firstGroup };
  let isTrusted = end !== undefined;
  for (;;) {
    let refused: GroupHeader | undefined;
    const range = { start: next.offset, end: limit, firstGroup: next.groupIndex };
    next = await source.walk(use, range, (group) => {
      const isFlushed = isTrusted || group.header.offset < flushedEnd;
      const isWhole = group.heads !== undefined;
      if (isWhole && (isFlushed || areValuesIntact(group, use.seed))) {
        visitor.group(group);
        if (end === undefined) isTrusted = false;
        return true;
      }
      refused = group.header;
      return false;
    });
    if (next.offset >= limit) return next.offset;
    const later = await source.laterGroup(
      use,
      next.offset + BLOCK_BYTES,
      next.groupIndex + 1,
      limit,
    );
    const hasEnd = end !== undefined || next.offset < flushedEnd;
    if (later === undefined && !hasEnd) return next.offset;
    if (refused !== undefined && !isTrusted) {
      // It had been flushed: where its heads are intact it is taken, and only values are damaged.
      isTrusted = true;
      continue;
    }
    if (end === undefined) isTrusted = false;
    const gapEnd = gapEndOf(next.offset, refused, later?.offset ?? end ?? flushedEnd);
    const bytes = await source.read(use.segment, next.offset, gapEnd - next.offset);
    visitor.gap({ start: next.offset, end: gapEnd, header: headerIn(bytes, use, refused), bytes });
    if (gapEnd >= limit) return gapEnd;
    next = { offset: gapEnd, groupIndex: groupAfter(next.groupIndex, gapEnd, refused, later) };
  }
}

/** A group whose header is intact says itself where it ends. */
function gapEndOf(start: number, refused: GroupHeader | undefined, limit: number): number {
  if (refused === undefined) return limit;
  return Math.min(limit, start + padded(refused.sizeBytes));
}

function headerIn(
  bytes: Uint8Array,
  use: SegmentUse,
  refused: GroupHeader | undefined,
): GroupHeader | undefined {
  return refused === undefined ? undefined : decodeGroupHeader(bytes, 0, use.seed);
}

function groupAfter(
  index: number,
  offset: number,
  refused: GroupHeader | undefined,
  later: { readonly offset: number; readonly groupIndex: number } | undefined,
): number {
  if (later?.offset === offset) return later.groupIndex;
  return refused === undefined ? index : index + 1;
}

/** The records whose heads are intact in a gap, in order; their values may be damaged. */
export function recordsIn({ bytes }: LogGap, seed: number): RecordHead[] {
  const heads: RecordHead[] = [];
  // Even where the group's header is damaged, it was there.
  for (let at = GROUP_HEADER_BYTES; at < bytes.length;) {
    const head = couldBeRecord(bytes, at)
      ? decodeRecordHead(bytes, at, bytes.length, seed)
      : undefined;
    const end = head === undefined ? 0 : head.valueStart + head.valueBytes;
    if (head === undefined || end > bytes.length) {
      at++;
      continue;
    }
    heads.push(head);
    at = end;
  }
  return heads;
}

/** Whether it is worth a checksum. */
function couldBeRecord(bytes: Uint8Array, at: number): boolean {
  const type = bytes[at + 4] ?? 0;
  if (type < RECORD_PUT || type > RECORD_DELETE_RANGE || bytes[at + 5] !== 0) return false;
  const keyBytes = (bytes[at + 6] ?? 0) + 256 * (bytes[at + 7] ?? 0);
  const hasKey = type !== RECORD_MANIFEST && type !== RECORD_CHECKPOINT_PAGE;
  return hasKey ? keyBytes > 0 && keyBytes <= KEY_BYTES_MAX : keyBytes === 0;
}
