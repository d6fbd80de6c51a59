/**
 * Walks the groups of one use of a segment, front to back, with large reads.
 *
 * The walk ends at the first place that does not hold the next group whole: whether that is the torn
 * end of the log or damage is for the caller to find out, with {@link findLaterGroup}.
 */
import { uninitialisedBytes } from '@dozo/base';
import type { Device } from '@dozo/base';
import { corrupt } from './errors.ts';
import type { EngineError } from './errors.ts';
import { deviceOffset } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { GROUP_HEADER_BYTES, decodeGroupHeader, padded } from './group.ts';
import type { GroupHeader } from './group.ts';
import { BLOCK_BYTES, WALK_WINDOW_BYTES } from './limits.ts';
import { decodeRecordHead, isValueIntact } from './record.ts';
import type { RecordHead } from './record.ts';

/** One use of a segment by one claim. */
export interface SegmentUse {
  readonly segment: number;
  readonly ordinal: number;
  readonly seed: number;
}

/** A group in memory. Offsets of its heads are in `bytes`. */
export interface WalkedGroup {
  readonly header: GroupHeader;
  /** A buffer that holds the whole group from `at` on; valid until the visitor returns. */
  readonly bytes: Uint8Array;
  readonly at: number;
  /** Absent when a head in it is damaged. */
  readonly heads: readonly RecordHead[] | undefined;
}

/** Where a group begins: byte offset in the segment, and its index. */
export interface GroupPlace {
  readonly offset: number;
  readonly groupIndex: number;
}

/** Which cache a read may be answered from. */
export type ReadMode = 'cached' | 'uncached';

/** What was read by a source and those that were made of it. */
interface ReadCount {
  bytes: number;
}

/** Reads of a device at places within segments. */
export class LogSource {
  readonly device: Device;
  readonly geometry: Geometry;
  readonly #mode: ReadMode;
  readonly #count: ReadCount;

  /**
   * @param mode how {@link read} and the walks read; default `cached`.
   * @param count where its reads are counted; default: for itself.
   */
  constructor(
    device: Device,
    geometry: Geometry,
    mode: ReadMode = 'cached',
    count: ReadCount = { bytes: 0 },
  ) {
    this.device = device;
    this.geometry = geometry;
    this.#mode = mode;
    this.#count = count;
  }

  /** Bytes that were read here and by way of {@link uncached}. */
  get bytesRead(): number {
    return this.#count.bytes;
  }

  /** The same, past the page cache: what the disk holds. */
  get uncached(): LogSource {
    if (this.#mode === 'uncached') return this;
    return new LogSource(this.device, this.geometry, 'uncached', this.#count);
  }

  /** Byte offset on the device. */
  place(segment: number, offset: number): number {
    return deviceOffset(this.geometry, segment, offset);
  }

  /** The error that says that what lies at a place is not right: `DEVICE_CORRUPT`. */
  corrupt(segment: number, offset: number, reason: string): EngineError {
    return corrupt(this.device.path, this.place(segment, offset), reason);
  }

  async read(segment: number, offset: number, sizeBytes: number): Promise<Uint8Array> {
    if (this.#mode === 'uncached') return this.readUncached(segment, offset, sizeBytes);
    const bytes = uninitialisedBytes(sizeBytes);
    await this.device.read(this.place(segment, offset), bytes);
    this.#count.bytes += sizeBytes;
    return bytes;
  }

  /** Reads what is in memory, at once; false: ask {@link read}. */
  readCached(segment: number, offset: number, into: Uint8Array): boolean {
    if (this.#mode === 'uncached') return false;
    const isRead = this.device.readCached(this.place(segment, offset), into);
    if (isRead) this.#count.bytes += into.length;
    return isRead;
  }

  /** Reads past the page cache, any offset and length: whole blocks are read for them. */
  async readUncached(segment: number, offset: number, sizeBytes: number): Promise<Uint8Array> {
    const start = offset - (offset % BLOCK_BYTES);
    const end = padded(offset + sizeBytes);
    // Not aligned memory, which is dear to get: callers keep what they read for as long as they like.
    const bytes = uninitialisedBytes(end - start);
    await this.device.readUncached(this.place(segment, start), bytes);
    this.#count.bytes += end - start;
    return bytes.subarray(offset - start, offset - start + sizeBytes);
  }

  /**
   * Visits the groups of a segment from `start` (where group `firstGroup` begins) as far as they are
   * there and `end` allows, until the visitor returns false.
   *
   * @returns where the next group would begin, and its index.
   */
  async walk(
    use: SegmentUse,
    range: { readonly start: number; readonly end: number; readonly firstGroup: number },
    visit: (group: WalkedGroup) => boolean,
  ): Promise<GroupPlace> {
    let offset = range.start;
    let groupIndex = range.firstGroup;
    let window: Uint8Array = new Uint8Array(0);
    let windowStart = offset;
    while (offset + BLOCK_BYTES <= range.end) {
      let at = offset - windowStart;
      if (at + BLOCK_BYTES > window.length) {
        window = await this.read(
          use.segment,
          offset,
          Math.min(WALK_WINDOW_BYTES, range.end - offset),
        );
        windowStart = offset;
        at = 0;
      }
      const header = decodeGroupHeader(window, at, use.seed);
      if (header === undefined || !isNext(header, use, offset, groupIndex)) break;
      const paddedBytes = padded(header.sizeBytes);
      if (offset + paddedBytes > range.end) break;
      if (at + paddedBytes > window.length) {
        window = await this.read(
          use.segment,
          offset,
          Math.min(Math.max(WALK_WINDOW_BYTES, paddedBytes), range.end - offset),
        );
        windowStart = offset;
        at = 0;
      }
      const heads = decodeHeads(window, at, header, use.seed);
      if (!visit({ header, bytes: window, at, heads })) break;
      offset += paddedBytes;
      groupIndex++;
    }
    return { offset, groupIndex };
  }

  /** The index of the group of this use that begins at `offset`, if one does. */
  async peekGroupIndex(use: SegmentUse, offset: number): Promise<number | undefined> {
    const block = await this.read(use.segment, offset, BLOCK_BYTES);
    const header = decodeGroupHeader(block, 0, use.seed);
    if (header === undefined || !isNext(header, use, offset, header.index)) return undefined;
    return header.index;
  }

  /** Whether a group of this use with an index of at least `fromIndex` lies at `from` or beyond. */
  async findLaterGroup(use: SegmentUse, from: number, fromIndex: number): Promise<boolean> {
    return (await this.laterGroup(use, from, fromIndex)) !== undefined;
  }

  /** The first group of this use with an index of at least `fromIndex` at `from` or beyond. */
  async laterGroup(
    use: SegmentUse,
    from: number,
    fromIndex: number,
    end = this.geometry.segmentStrideBytes,
  ): Promise<GroupPlace | undefined> {
    for (let start = from; start < end; start += WALK_WINDOW_BYTES) {
      const window = await this.read(use.segment, start, Math.min(WALK_WINDOW_BYTES, end - start));
      for (let at = 0; at < window.length; at += BLOCK_BYTES) {
        const header = decodeGroupHeader(window, at, use.seed);
        if (header === undefined || header.index < fromIndex) continue;
        const offset = start + at;
        if (isNext(header, use, offset, header.index)) return { offset, groupIndex: header.index };
      }
    }
    return undefined;
  }
}

/** Whether the values of all records of a group are what was written. */
export function areValuesIntact(group: WalkedGroup, seed: number): boolean {
  return group.heads?.every((head) => isValueIntact(group.bytes, head, seed)) ?? false;
}

function isNext(header: GroupHeader, use: SegmentUse, offset: number, groupIndex: number): boolean {
  return (
    header.segment === use.segment &&
    header.segmentOrdinal === use.ordinal &&
    header.offset === offset &&
    header.index === groupIndex &&
    header.sizeBytes >= GROUP_HEADER_BYTES
  );
}

/** The heads of all records of the group at `at`; `undefined` when one is damaged. */
export function decodeHeads(
  bytes: Uint8Array,
  at: number,
  header: GroupHeader,
  seed: number,
): RecordHead[] | undefined {
  const heads: RecordHead[] = [];
  const end = at + header.sizeBytes;
  let next = at + GROUP_HEADER_BYTES;
  for (let index = 0; index < header.recordCount; index++) {
    const head = decodeRecordHead(bytes, next, end, seed);
    if (head === undefined || head.valueStart + head.valueBytes > end) return undefined;
    heads.push(head);
    next = head.valueStart + head.valueBytes;
  }
  return next === end ? heads : undefined;
}
