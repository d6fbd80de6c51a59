/**
 * The first block of a segment: who uses it, for the how-manieth time, and what came before.
 *
 * It is written together with the segment's first group. It names the segment before it in the log and
 * where that one ends, which seals it: the next segment is begun only after the last group of the one
 * before was flushed.
 */
import { ByteReader, ByteWriter, CodecError, crc32c, writeUint32 } from '@dozo/base';
import type { ClaimIdentity } from '@dozo/claim';
import { BLOCK_BYTES } from './limits.ts';
import type { SegmentKind } from './segment-uses.ts';

/** What a segment's header says. */
export interface SegmentHeader {
  readonly deviceId: Uint8Array;
  readonly segment: number;
  /** Grows by one with every use of any segment in the history of the device. */
  readonly ordinal: number;
  readonly identity: ClaimIdentity;
  /** Absent in the first segment of a claim: its fence closes what came before. */
  readonly previous?: {
    readonly segment: number;
    readonly ordinal: number;
    /** Byte offset in that segment where its last group ends. */
    readonly end: number;
  };
}

const LOG_MAGIC = new TextEncoder().encode('DOZOSEG1');
const TABLES_MAGIC = new TextEncoder().encode('DOZOTAB1');
const CRC_OFFSET_BYTES = 8;

/** The seed of all checksums of a claim's records. */
export function seedOf(identity: ClaimIdentity): number {
  return crc32c(identity.nonce);
}

/** The header of a segment of the log, or of one that holds tables: those have no segment before them. */
export function encodeSegmentHeader(header: SegmentHeader, kind: SegmentKind = 'log'): Uint8Array {
  const writer = new ByteWriter(BLOCK_BYTES);
  writer
    .bytes(kind === 'log' ? LOG_MAGIC : TABLES_MAGIC)
    .uint32(0)
    .uint32(header.segment)
    .bytes(header.deviceId);
  writer.uint64(header.identity.incarnation).bytes(header.identity.nonce).uint64(header.ordinal);
  writer.uint32(header.previous === undefined ? 0 : 1).uint32(header.previous?.segment ?? 0);
  writer.uint64(header.previous?.ordinal ?? 0).uint32(header.previous?.end ?? 0);
  writer.zeros(BLOCK_BYTES - writer.length);
  const block = writer.finish();
  writeUint32(block, CRC_OFFSET_BYTES, crc32c(block));
  return block;
}

/** Reads a segment's first block; `undefined` when it is not a valid header of that kind. */
export function decodeSegmentHeader(
  block: Uint8Array,
  kind: SegmentKind = 'log',
): SegmentHeader | undefined {
  const magic = kind === 'log' ? LOG_MAGIC : TABLES_MAGIC;
  try {
    const reader = new ByteReader(block, 'a segment header');
    if (reader.view(8).some((byte, index) => byte !== magic[index])) return undefined;
    const checksum = reader.uint32();
    const copy = block.slice(0, BLOCK_BYTES);
    copy.fill(0, CRC_OFFSET_BYTES, CRC_OFFSET_BYTES + 4);
    if (crc32c(copy) !== checksum) return undefined;
    const segment = reader.uint32();
    const deviceId = reader.bytes(16);
    const identity = { incarnation: reader.uint64(), nonce: reader.bytes(16) };
    const ordinal = reader.uint64();
    const hasPrevious = reader.uint32() === 1;
    const previous = { segment: reader.uint32(), ordinal: reader.uint64(), end: reader.uint32() };
    return { deviceId, segment, ordinal, identity, ...(hasPrevious ? { previous } : {}) };
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
