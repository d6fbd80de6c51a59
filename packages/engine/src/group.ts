/**
 * A group: what one commit writes, all of it or nothing.
 *
 *     0       4        8                16      20       24      28      32       36   40
 *     +-------+--------+----------------+-------+--------+-------+-------+--------+----+-...
 *     | magic | CRC of | ordinal of the | index | record | bytes | off-  | seg-   | 0  |
 *     | DZGR  | 8..64  | segment's use  | in it | count  | used  | set   | ment   |    |
 *     +-------+--------+----------------+-------+--------+-------+-------+--------+----+-...
 *     40 first LSN    48 last LSN    56 wall ms    64 records, then zeros to a multiple of 4,096
 *
 * Groups begin at multiples of 4,096, so that a block which was flushed is never written again. The
 * header names its own place: a copy of it anywhere else, in a user's value for example, is not
 * valid. A group is valid when its header and all of its records are.
 */
import { assert, crc32c, readUint32, readUint64, writeUint32, writeUint64 } from '@dozo/base';
import { BLOCK_BYTES, STAGED_VALUE_BYTES_MAX } from './limits.ts';
import { encodeRecordHead, headBytesOf, recordBytesOf } from './record.ts';
import type { NewRecord } from './record.ts';

/** Bytes of a group in front of its first record. */
export const GROUP_HEADER_BYTES = 64;

const MAGIC = 0x52475a44;

/** What a group's header says, its checksum apart. */
export interface GroupHeader {
  readonly segment: number;
  /** Byte offset in the segment. */
  readonly offset: number;
  readonly segmentOrdinal: number;
  /** 0 for the first group of a segment. */
  readonly index: number;
  readonly recordCount: number;
  /** Header and records, without the padding. */
  readonly sizeBytes: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly wallMs: number;
}

/** Rounds up to a multiple of 4,096. */
export function padded(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Writes a header to the first 64 bytes of `into`. */
function encodeGroupHeader(into: Uint8Array, header: GroupHeader, seed: number): void {
  writeUint32(into, 0, MAGIC);
  writeUint64(into, 8, header.segmentOrdinal);
  writeUint32(into, 16, header.index);
  writeUint32(into, 20, header.recordCount);
  writeUint32(into, 24, header.sizeBytes);
  writeUint32(into, 28, header.offset);
  writeUint32(into, 32, header.segment);
  writeUint32(into, 36, 0);
  writeUint64(into, 40, header.firstLsn);
  writeUint64(into, 48, header.lastLsn);
  writeUint64(into, 56, header.wallMs);
  writeUint32(into, 4, crc32c(into.subarray(8, GROUP_HEADER_BYTES), seed));
}

/** Reads a header at `at`; `undefined` when there is none that this claim wrote. */
export function decodeGroupHeader(
  bytes: Uint8Array,
  at: number,
  seed: number,
): GroupHeader | undefined {
  if (at + GROUP_HEADER_BYTES > bytes.length || readUint32(bytes, at) !== MAGIC) return undefined;
  const checksum = crc32c(bytes.subarray(at + 8, at + GROUP_HEADER_BYTES), seed);
  if (checksum !== readUint32(bytes, at + 4)) return undefined;
  return {
    segmentOrdinal: readUint64(bytes, at + 8),
    index: readUint32(bytes, at + 16),
    recordCount: readUint32(bytes, at + 20),
    sizeBytes: readUint32(bytes, at + 24),
    offset: readUint32(bytes, at + 28),
    segment: readUint32(bytes, at + 32),
    firstLsn: readUint64(bytes, at + 40),
    lastLsn: readUint64(bytes, at + 48),
    wallMs: readUint64(bytes, at + 56),
  };
}

/** Where a value lies that goes into the write from where it is. */
interface OutsideValue {
  /** How much of the staging buffer comes before it. */
  readonly stagedBytes: number;
  readonly value: Uint8Array;
}

/**
 * Collects the records of one group for one vectored write.
 *
 * Heads and small values are copied to a staging buffer that is kept for the next group; large values
 * go into the write from the caller's buffer. What {@link finish} returned must have been written
 * before {@link begin} is called again.
 */
export class GroupBuilder {
  #staging: Uint8Array;
  #stagedBytes = GROUP_HEADER_BYTES;
  #outside: OutsideValue[] = [];
  #outsideBytes = 0;
  #recordCount = 0;
  #firstLsn = 0;
  #lastLsn = 0;

  constructor(capacityBytes: number) {
    this.#staging = new Uint8Array(capacityBytes);
  }

  /** Header and records so far. */
  get sizeBytes(): number {
    return this.#stagedBytes + this.#outsideBytes;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** How many buffers the write will have. */
  get bufferCount(): number {
    return 2 * this.#outside.length + 1;
  }

  begin(): void {
    this.#stagedBytes = GROUP_HEADER_BYTES;
    this.#outside = [];
    this.#outsideBytes = 0;
    this.#recordCount = 0;
    this.#firstLsn = 0;
    this.#lastLsn = 0;
  }

  /** Adds a record and returns its offset from the start of the group. */
  add(record: NewRecord, seed: number): number {
    const { key, value } = record;
    const at = this.sizeBytes;
    const isStaged = value.length < STAGED_VALUE_BYTES_MAX;
    const size = isStaged
      ? recordBytesOf(key.length, value.length)
      : headBytesOf(key.length, value.length);
    this.#reserve(size);
    const valueAt = encodeRecordHead(this.#staging, this.#stagedBytes, record, seed);
    if (isStaged) this.#staging.set(value, valueAt);
    this.#stagedBytes += size;
    if (!isStaged) this.#addOutside(value);
    this.#count(record.lsn);
    return at;
  }

  /** Adds a whole record, as this claim once encoded it, and returns its offset in the group. */
  addEncoded(bytes: Uint8Array, lsn: number): number {
    const at = this.sizeBytes;
    if (bytes.length >= STAGED_VALUE_BYTES_MAX) {
      this.#addOutside(bytes);
    } else {
      this.#reserve(bytes.length);
      this.#staging.set(bytes, this.#stagedBytes);
      this.#stagedBytes += bytes.length;
    }
    this.#count(lsn);
    return at;
  }

  /** Seals the group. The buffers are the header and all records, padded to a multiple of 4,096. */
  finish(
    place: Pick<GroupHeader, 'segment' | 'offset' | 'segmentOrdinal' | 'index' | 'wallMs'>,
    seed: number,
  ): readonly Uint8Array[] {
    const { sizeBytes } = this;
    const paddingBytes = padded(sizeBytes) - sizeBytes;
    this.#reserve(paddingBytes);
    const end = this.#stagedBytes + paddingBytes;
    this.#staging.fill(0, this.#stagedBytes, end);
    const header: GroupHeader = {
      ...place,
      sizeBytes,
      recordCount: this.#recordCount,
      firstLsn: this.#firstLsn,
      lastLsn: this.#lastLsn,
    };
    encodeGroupHeader(this.#staging, header, seed);
    const buffers: Uint8Array[] = [];
    let start = 0;
    for (const { stagedBytes, value } of this.#outside) {
      if (stagedBytes > start) buffers.push(this.#staging.subarray(start, stagedBytes));
      buffers.push(value);
      start = stagedBytes;
    }
    if (end > start) buffers.push(this.#staging.subarray(start, end));
    return buffers;
  }

  #addOutside(value: Uint8Array): void {
    this.#outside.push({ stagedBytes: this.#stagedBytes, value });
    this.#outsideBytes += value.length;
  }

  #count(lsn: number): void {
    assert(lsn > 0, 'a record has an LSN');
    if (this.#recordCount === 0) this.#firstLsn = lsn;
    this.#recordCount++;
    this.#firstLsn = Math.min(this.#firstLsn, lsn);
    this.#lastLsn = Math.max(this.#lastLsn, lsn);
  }

  #reserve(sizeBytes: number): void {
    const needed = this.#stagedBytes + sizeBytes;
    if (needed <= this.#staging.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#staging.length));
    grown.set(this.#staging.subarray(0, this.#stagedBytes));
    this.#staging = grown;
  }
}
