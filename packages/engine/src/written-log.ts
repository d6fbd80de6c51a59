/**
 * The log of this claim as far as it is durable: the parts in segments that it has left and that recovery would
 * replay, the segment that it goes on in, and the newest checkpoint. The next manifest says just that.
 *
 *     part     part          open segment
 *     [.....]  [..........]  [partStart ... offset   ]
 *
 * Changes once for each group, after that was flushed.
 */
import { assert } from '@dozo/base';
import type { ClaimIdentity, LogEnd } from '@dozo/claim';
import type { ClaimHistory } from './claim-history.ts';
import { deviceOffset } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import type { LogPosition } from './log-position.ts';
import type { LogPart, Manifest, PagePlace } from './manifest.ts';
import type { Recovered } from './recovery.ts';
import type { SegmentTable } from './segment-table.ts';

/** A checkpoint whose pages are all durable. */
export interface FinishedCheckpoint {
  readonly number: number;
  /** Replay starts there. */
  readonly start: LogPosition;
  readonly pages: readonly PagePlace[];
}

/** A segment that the log goes on in. */
export interface OpenSegment {
  readonly segment: number;
  readonly ordinal: number;
  /** Where the part of it that the next manifest will name begins. */
  partStart: number;
  firstGroup: number;
  /** Where the next group goes. */
  offset: number;
  groupIndex: number;
}

export interface WrittenLogOptions {
  readonly geometry: Geometry;
  readonly identity: ClaimIdentity;
  readonly segments: SegmentTable;
  readonly recovered: Recovered;
}

/** What a manifest says besides: how the log goes on, and what is known of other claims. */
export interface NextInLog {
  readonly nextLsn: number;
  readonly nextOrdinal: number;
  readonly history: ClaimHistory;
}

/** See the file comment. */
export class WrittenLog {
  readonly #options: WrittenLogOptions;
  #current: OpenSegment | undefined;
  #parts: LogPart[];
  #pages: readonly PagePlace[];
  #checkpoint: number;

  constructor(options: WrittenLogOptions) {
    this.#options = options;
    const { recovered } = options;
    this.#parts = [...recovered.parts];
    this.#pages = recovered.pages;
    this.#checkpoint = recovered.checkpoint;
  }

  /** The segment that the log goes on in; `undefined` before its first group. */
  get open(): OpenSegment | undefined {
    return this.#current;
  }

  /** Where the log stands: every group before is durable and in the index. */
  get position(): LogPosition {
    const current = this.#current;
    assert(current !== undefined, 'the log has not been begun');
    return { ordinal: current.ordinal, offset: current.offset, groupIndex: current.groupIndex };
  }

  /** Where the pages of the newest durable checkpoint lie. */
  get pages(): readonly PagePlace[] {
    return this.#pages;
  }

  /** Number of the newest durable checkpoint, 0 for none. */
  get checkpointNumber(): number {
    return this.#checkpoint;
  }

  /** The closed parts that recovery would replay, and the part in the open segment. */
  get parts(): readonly LogPart[] {
    return this.#closedParts();
  }

  /** What recovery would have to replay, in bytes. */
  get replayBytes(): number {
    const current = this.#current;
    let bytes = current === undefined ? 0 : current.offset - current.partStart;
    for (const part of this.#parts) bytes += part.end - part.start;
    return bytes;
  }

  /** The parts that lie in segments which the log has left. */
  get leftParts(): readonly LogPart[] {
    return this.#parts;
  }

  /** How far the log is durable, for the slot. */
  get end(): LogEnd | undefined {
    const current = this.#current;
    if (current === undefined) return undefined;
    const { segment, ordinal: segmentOrdinal } = current;
    const { geometry } = this.#options;
    return { segment, segmentOrdinal, offset: deviceOffset(geometry, segment, current.offset) };
  }

  /** The manifest as of the group under construction: everything before that group is closed. */
  manifest(finished: FinishedCheckpoint | undefined, next: NextInLog): Manifest {
    const parts = this.#closedParts();
    return {
      nextLsn: next.nextLsn,
      nextOrdinal: next.nextOrdinal,
      checkpoint: finished?.number ?? this.#checkpoint,
      pages: finished?.pages ?? this.#pages,
      parts: finished === undefined ? parts : partsSince(parts, finished.start),
      history: next.history,
    };
  }

  /**
   * Another group is durable.
   *
   * @param opening the segment that it has begun.
   * @param published the checkpoint in its manifest.
   */
  advance(
    sizeBytes: number,
    opening: OpenSegment | undefined,
    published: FinishedCheckpoint | undefined,
  ): void {
    if (opening !== undefined) this.#goOnIn(opening);
    const target = this.#current;
    assert(target !== undefined, 'a group lies in no segment');
    if (published !== undefined) {
      this.#parts = partsSince(this.#parts, published.start);
      this.#pages = published.pages;
      this.#checkpoint = published.number;
      if (target.ordinal === published.start.ordinal) {
        target.partStart = published.start.offset;
        target.firstGroup = published.start.groupIndex;
      }
    }
    target.offset += sizeBytes;
    target.groupIndex++;
  }

  #goOnIn(opening: OpenSegment): void {
    const before = this.#current;
    if (before !== undefined) {
      this.#parts = this.#closedParts();
      this.#options.segments.close(before.segment, before.offset);
    }
    this.#current = opening;
  }

  #closedParts(): LogPart[] {
    const current = this.#current;
    if (current === undefined || current.partStart === current.offset) return this.#parts.slice();
    const { segment, ordinal, partStart: start, offset: end, firstGroup } = current;
    const { identity } = this.#options;
    return [...this.#parts, { segment, ordinal, identity, start, end, firstGroup }];
  }
}

/** What of the parts lies at or after a place in the log. */
function partsSince(parts: readonly LogPart[], start: LogPosition): LogPart[] {
  const kept: LogPart[] = [];
  for (const part of parts) {
    if (part.ordinal < start.ordinal) continue;
    if (part.ordinal > start.ordinal) kept.push(part);
    else if (start.offset < part.end) {
      kept.push({ ...part, start: start.offset, firstGroup: start.groupIndex });
    }
  }
  return kept;
}
