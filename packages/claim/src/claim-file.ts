/**
 * The header of a claim file: a ring of its own beside what it guards, where the thing that is guarded
 * is not a device of ours. `dozo guard` keeps one in the volume; any program may do the same.
 *
 *     0            64 KiB
 *     +--------+--+------------------------+
 *     | header |  | ring: 1,024 x 8 KiB    |   zeros where nobody has claimed
 *     +--------+--+------------------------+
 *
 * The file is written once when it is made, then only in its ring. Layout:
 * `docs/formats/claim-area.md`.
 */
import { ByteWriter, assert } from '@dozo/base';
import { readHead, sealBlock, writeHead } from './block-head.ts';
import type { BlockHead } from './block-head.ts';
import { refuseIntervals } from './claim-settings.ts';
import type { ClaimSettings } from './claim-settings.ts';
import { RING_SLOTS_MAX, RING_SLOTS_MIN, SLOT_BLOCK_BYTES, SLOT_BYTES } from './limits.ts';
import type { RingPlace } from './ring.ts';

/** What a claim file says of itself. */
export interface ClaimFileHeader {
  readonly place: RingPlace;
  readonly settings: ClaimSettings;
  readonly createdWallMs: number;
}

/** Bytes of the header: the first block of the file. */
export const CLAIM_FILE_HEADER_BYTES = SLOT_BLOCK_BYTES;

/** Where the ring of a claim file begins. */
export const CLAIM_FILE_RING_OFFSET = 64 * 1024;

const HEAD: BlockHead = { magic: 'DOZOCLM1', version: 1, what: 'a claim file' };
const FLAG_LOCAL = 1;

/** The size of a claim file with this header, in bytes. */
export function claimFileBytes({ place }: ClaimFileHeader): number {
  return place.offset + place.slotCount * SLOT_BYTES;
}

/** Encodes the header as one block. */
export function encodeClaimFileHeader(header: ClaimFileHeader): Uint8Array {
  const { place, settings } = header;
  assert(place.deviceId.length === 16, 'an id has 16 bytes');
  const writer = new ByteWriter(CLAIM_FILE_HEADER_BYTES);
  writeHead(writer, HEAD).bytes(place.deviceId);
  writer.uint64(place.offset).uint32(place.slotCount).uint32(settings.beatIntervalMs);
  writer.uint32(settings.leaseMs).uint32(settings.isLocal ? FLAG_LOCAL : 0);
  writer.uint64(header.createdWallMs).zeros(CLAIM_FILE_HEADER_BYTES - writer.length);
  return sealBlock(writer.finish());
}

/** Decodes a header. Throws `CodecError` with the reason in words when it is not one. */
export function decodeClaimFileHeader(block: Uint8Array): ClaimFileHeader {
  assert(block.length === CLAIM_FILE_HEADER_BYTES, 'a header has 4,096 bytes');
  const reader = readHead(block, HEAD);
  const deviceId = reader.bytes(16);
  const place = { offset: reader.uint64(), slotCount: reader.uint32(), deviceId };
  const intervals = { beatIntervalMs: reader.uint32(), leaseMs: reader.uint32() };
  const settings = { ...intervals, isLocal: (reader.uint32() & FLAG_LOCAL) !== 0 };
  const refused = refuseIntervals(settings.beatIntervalMs, settings.leaseMs);
  if (refused !== undefined) throw reader.invalid(refused);
  const { offset, slotCount } = place;
  if (offset % SLOT_BLOCK_BYTES !== 0 || offset < CLAIM_FILE_HEADER_BYTES) {
    throw reader.invalid('its ring lies at an impossible place');
  }
  if (slotCount < RING_SLOTS_MIN || slotCount > RING_SLOTS_MAX) {
    throw reader.invalid(`its ring has ${slotCount} slots`);
  }
  return { place, settings, createdWallMs: reader.uint64() };
}
