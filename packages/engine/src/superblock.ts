/**
 * The superblock: what says that a device is ours, and where everything lies on it.
 *
 * It is written when the device is formatted, and again when it has become larger (`grow-device.ts`),
 * at block 0 and in front of the segments. A damaged first one is never passed over in silence:
 * opening is refused, and the copy can be put in its place by a command. While both are valid the
 * first one counts. Layout: `docs/formats/device.md`.
 */
import { ByteReader, ByteWriter, CodecError, crc32c, writeUint32 } from '@dozo/base';
import { refuseIntervals } from '@dozo/claim';
import { isSound } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { BLOCK_BYTES } from './limits.ts';

/** The version of the device format that this software writes, and the only one that it reads. */
export const FORMAT_VERSION = 3;

/** What a superblock says. */
export interface Superblock {
  /** 16 random bytes, drawn when the device was formatted. */
  readonly deviceId: Uint8Array;
  readonly geometry: Geometry;
  readonly beatIntervalMs: number;
  readonly leaseMs: number;
  /** Only the machine that it is on reaches this device, by one path. */
  readonly isLocal: boolean;
  readonly createdWallMs: number;
}

/** What was found where a superblock should be. */
export type SuperblockReading =
  | { readonly kind: 'valid'; readonly superblock: Superblock }
  /** It does not begin with our magic. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'damaged'; readonly reason: string };

const MAGIC = new TextEncoder().encode('DOZODEV1');
const CRC_OFFSET_BYTES = 12;
const FLAG_LOCAL = 1;

/** Encodes a superblock as one block. Tests give it another version. */
export function encodeSuperblock(superblock: Superblock, version = FORMAT_VERSION): Uint8Array {
  const { geometry } = superblock;
  const writer = new ByteWriter(BLOCK_BYTES);
  writer.bytes(MAGIC).uint32(version).uint32(0).bytes(superblock.deviceId);
  writer.uint64(geometry.deviceBytes).uint32(BLOCK_BYTES).uint32(geometry.ringSlotCount);
  writer.uint64(geometry.ringOffset).uint64(geometry.superblockCopyOffset);
  writer.uint64(geometry.segmentAreaOffset).uint32(geometry.segmentPayloadBytes);
  writer.uint32(geometry.segmentStrideBytes).uint32(geometry.segmentCount);
  writer.uint32(superblock.beatIntervalMs).uint32(superblock.leaseMs);
  writer.uint32(superblock.isLocal ? FLAG_LOCAL : 0);
  writer.uint64(superblock.createdWallMs).zeros(BLOCK_BYTES - writer.length);
  const block = writer.finish();
  writeUint32(block, CRC_OFFSET_BYTES, crc32c(block));
  return block;
}

/** Reads a block as a superblock. Never throws: the block may hold anything. */
export function decodeSuperblock(block: Uint8Array): SuperblockReading {
  if (MAGIC.some((byte, index) => byte !== block[index])) return { kind: 'foreign' };
  try {
    return readSuperblock(block);
  } catch (error) {
    if (error instanceof CodecError) return { kind: 'damaged', reason: error.message };
    throw error;
  }
}

function readSuperblock(block: Uint8Array): SuperblockReading {
  const reader = new ByteReader(block, 'the superblock');
  reader.skip(MAGIC.length);
  const version = reader.uint32();
  const checksum = reader.uint32();
  const copy = block.slice();
  copy.fill(0, CRC_OFFSET_BYTES, CRC_OFFSET_BYTES + 4);
  if (crc32c(copy) !== checksum) return { kind: 'damaged', reason: 'its checksum does not match' };
  if (version !== FORMAT_VERSION) return { kind: 'version', version };
  const deviceId = reader.bytes(16);
  const deviceBytes = reader.uint64();
  const blockBytes = reader.uint32();
  const geometry: Geometry = {
    deviceBytes,
    ringSlotCount: reader.uint32(),
    ringOffset: reader.uint64(),
    superblockCopyOffset: reader.uint64(),
    segmentAreaOffset: reader.uint64(),
    segmentPayloadBytes: reader.uint32(),
    segmentStrideBytes: reader.uint32(),
    segmentCount: reader.uint32(),
  };
  const times = { beatIntervalMs: reader.uint32(), leaseMs: reader.uint32() };
  const flags = reader.uint32();
  if (blockBytes !== BLOCK_BYTES || !isSound(geometry)) {
    return { kind: 'damaged', reason: 'the places that it names contradict each other' };
  }
  const refused = refuseIntervals(times.beatIntervalMs, times.leaseMs);
  if (refused !== undefined) return { kind: 'damaged', reason: refused };
  const isLocal = (flags & FLAG_LOCAL) !== 0;
  const superblock = { deviceId, geometry, ...times, isLocal, createdWallMs: reader.uint64() };
  return { kind: 'valid', superblock };
}
