/**
 * A record: one key's change, a manifest or a checkpoint page, as it stands in a group.
 *
 *     0        4      5       6           8            12     20    20+k
 *     +--------+------+-------+-----------+------------+------+-----+------------------+-------+
 *     | CRC    | type | flags | key bytes | value bytes| LSN  | key | CRC per 64 KiB   | value |
 *     | uint32 | u8   | 0     | k, uint16 | v, uint32  | u64  | k   | block of value   | v     |
 *     +--------+------+-------+-----------+------------+------+-----+------------------+-------+
 *
 * The first checksum covers everything from the type to the last of the value's checksums, so a head
 * can be trusted without reading the value, and each block of a value can be checked alone. All of
 * them start from the claim's seed (the CRC-32C of its nonce): a record that another claim left at the
 * same place never passes.
 */
import { assert, crc32c, readUint16, readUint32, readUint64 } from '@dozo/base';
import { writeUint16, writeUint32, writeUint64 } from '@dozo/base';
import { VALUE_BLOCK_BYTES } from './limits.ts';

/** Bytes in front of the key. */
const RECORD_FIXED_BYTES = 20;

export const RECORD_PUT = 1;
export const RECORD_DELETE = 2;
export const RECORD_MANIFEST = 3;
export const RECORD_CHECKPOINT_PAGE = 4;
/** The key is where the range begins, the value where it ends. */
export const RECORD_DELETE_RANGE = 5;

/** One of the five numbers above. */
export type RecordType = 1 | 2 | 3 | 4 | 5;

/** What is known of a record from its head. Offsets are in the buffer that it was decoded from. */
export interface RecordHead {
  readonly type: RecordType;
  readonly lsn: number;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** Where the value's checksums end and the value begins. */
  readonly valueStart: number;
  readonly valueBytes: number;
}

/** A record to be encoded. */
export interface NewRecord {
  readonly type: RecordType;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** From {@link valueChecksums}, with the same seed. */
  readonly checksums: readonly number[];
  readonly lsn: number;
}

/** The checksum of an empty value list, shared. */
const NO_CHECKSUMS: readonly number[] = [];

/** Bytes of a record up to its value. */
export function headBytesOf(keyBytes: number, valueBytes: number): number {
  return RECORD_FIXED_BYTES + keyBytes + 4 * Math.ceil(valueBytes / VALUE_BLOCK_BYTES);
}

/** Bytes of a whole record. */
export function recordBytesOf(keyBytes: number, valueBytes: number): number {
  return headBytesOf(keyBytes, valueBytes) + valueBytes;
}

/** One CRC-32C for each 64 KiB of a value, the last block shorter; none for an empty value. */
export function valueChecksums(value: Uint8Array, seed: number): readonly number[] {
  if (value.length === 0) return NO_CHECKSUMS;
  if (value.length <= VALUE_BLOCK_BYTES) return [crc32c(value, seed)];
  const checksums: number[] = [];
  for (let start = 0; start < value.length; start += VALUE_BLOCK_BYTES) {
    checksums.push(crc32c(value.subarray(start, start + VALUE_BLOCK_BYTES), seed));
  }
  return checksums;
}

/** Writes a record up to its value at `offset` and returns where the value belongs. */
export function encodeRecordHead(
  into: Uint8Array,
  offset: number,
  record: NewRecord,
  seed: number,
): number {
  const { key, value, checksums } = record;
  into[offset + 4] = record.type;
  into[offset + 5] = 0;
  writeUint16(into, offset + 6, key.length);
  writeUint32(into, offset + 8, value.length);
  writeUint64(into, offset + 12, record.lsn);
  into.set(key, offset + RECORD_FIXED_BYTES);
  let end = offset + RECORD_FIXED_BYTES + key.length;
  for (const checksum of checksums) {
    writeUint32(into, end, checksum);
    end += 4;
  }
  assert(end === offset + headBytesOf(key.length, value.length), 'checksums do not fit the value');
  writeUint32(into, offset, crc32c(into.subarray(offset + 4, end), seed));
  return end;
}

/**
 * Reads the head of a record in `bytes[offset, end)`.
 *
 * @returns `undefined` when it does not fit there or its checksum does not match. That the value fits
 *   is not checked.
 */
export function decodeRecordHead(
  bytes: Uint8Array,
  offset: number,
  end: number,
  seed: number,
): RecordHead | undefined {
  if (offset + RECORD_FIXED_BYTES > end) return undefined;
  const keyBytes = readUint16(bytes, offset + 6);
  const valueBytes = readUint32(bytes, offset + 8);
  const valueStart = offset + headBytesOf(keyBytes, valueBytes);
  if (valueStart > end) return undefined;
  if (crc32c(bytes.subarray(offset + 4, valueStart), seed) !== readUint32(bytes, offset)) {
    return undefined;
  }
  const type = bytes[offset + 4] as number;
  if (type < RECORD_PUT || type > RECORD_DELETE_RANGE) return undefined;
  const keyStart = offset + RECORD_FIXED_BYTES;
  return {
    type: type as RecordType,
    lsn: readUint64(bytes, offset + 12),
    keyStart,
    keyEnd: keyStart + keyBytes,
    valueStart,
    valueBytes,
  };
}

/** Whether the value that follows a head in the same buffer is what was written. */
export function isValueIntact(bytes: Uint8Array, head: RecordHead, seed: number): boolean {
  return areBlocksIntact({
    head: bytes,
    checksumsStart: head.keyEnd,
    blocks: bytes.subarray(head.valueStart, head.valueStart + head.valueBytes),
    firstBlock: 0,
    seed,
  });
}

/** Whether consecutive blocks of a value, read on their own, are what was written. */
export function areBlocksIntact(part: {
  /** The buffer that holds the checksums, and where the value's first one stands in it. */
  readonly head: Uint8Array;
  readonly checksumsStart: number;
  /** Whole blocks, but for the value's last one. */
  readonly blocks: Uint8Array;
  readonly firstBlock: number;
  readonly seed: number;
}): boolean {
  const { head, blocks, seed } = part;
  let checksumAt = part.checksumsStart + 4 * part.firstBlock;
  for (let start = 0; start < blocks.length; start += VALUE_BLOCK_BYTES) {
    const block = blocks.subarray(start, start + VALUE_BLOCK_BYTES);
    if (crc32c(block, seed) !== readUint32(head, checksumAt)) return false;
    checksumAt += 4;
  }
  return true;
}
