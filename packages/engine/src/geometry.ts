/**
 * Where everything lies on a device, computed from its size.
 *
 *     0        superblock
 *     64 KiB   claim ring
 *     ...      copy of the superblock, the block before the segments
 *     ...      segments, each a header block, the payload, and room for the headers within it
 */
import { assert } from '@dozo/base';
import { RING_SLOTS_DEFAULT, RING_SLOTS_MAX, RING_SLOTS_MIN, SLOT_BYTES } from '@dozo/claim';
import {
  BLOCK_BYTES,
  KEY_BYTES_MAX,
  SEGMENT_COUNT_MAX,
  SEGMENT_COUNT_MIN,
  SEGMENT_COUNT_WANTED,
  SEGMENT_PAYLOAD_BYTES_FLOOR,
  SEGMENT_PAYLOAD_BYTES_MAX,
  SEGMENT_PAYLOAD_BYTES_MIN,
  VALUE_BYTES_MAX,
} from './limits.ts';

/** Byte offset of the claim ring; what lies between is zero and not used. */
export const RING_OFFSET = 64 * 1024;

/** The places on a device. All sizes and offsets in bytes, multiples of 4,096. */
export interface Geometry {
  readonly deviceBytes: number;
  readonly ringOffset: number;
  readonly ringSlotCount: number;
  readonly superblockCopyOffset: number;
  readonly segmentAreaOffset: number;
  /** A power of two. */
  readonly segmentPayloadBytes: number;
  /** From the start of one segment to the start of the next. */
  readonly segmentStrideBytes: number;
  readonly segmentCount: number;
}

/** What formatting may choose; defaults follow from the size of the device. */
export interface GeometryOptions {
  /** A power of two from 32 KiB on; anything below 16 MiB shrinks the longest value. */
  readonly segmentPayloadBytes?: number;
  readonly ringSlotCount?: number;
}

/** The longest key, value and batch that a device takes, in bytes. */
export interface EngineLimits {
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  /** Records of one batch, their headers, keys and checksums included. */
  readonly batchBytesMax: number;
}

/** The geometry for a device of that size, or the size in bytes that it would need at least. */
export function planGeometry(
  deviceBytes: number,
  options: GeometryOptions = {},
): Geometry | { readonly neededBytes: number } {
  const ringSlotCount = options.ringSlotCount ?? RING_SLOTS_DEFAULT;
  assert(ringSlotCount >= RING_SLOTS_MIN && ringSlotCount <= RING_SLOTS_MAX, 'ring slots');
  const superblockCopyOffset = RING_OFFSET + ringSlotCount * SLOT_BYTES;
  const segmentAreaOffset = superblockCopyOffset + BLOCK_BYTES;
  const areaBytes = deviceBytes - segmentAreaOffset;
  let payloadBytes = options.segmentPayloadBytes ?? SEGMENT_PAYLOAD_BYTES_MAX;
  assert(isPayloadSize(payloadBytes), 'the segment payload is a power of two from 32 KiB on');
  if (options.segmentPayloadBytes === undefined) {
    while (
      payloadBytes > SEGMENT_PAYLOAD_BYTES_MIN &&
      areaBytes < SEGMENT_COUNT_WANTED * strideOf(payloadBytes)
    ) {
      payloadBytes /= 2;
    }
  }
  const strideBytes = strideOf(payloadBytes);
  const segmentCount = Math.min(Math.floor(areaBytes / strideBytes), SEGMENT_COUNT_MAX);
  if (segmentCount < SEGMENT_COUNT_MIN) {
    return { neededBytes: segmentAreaOffset + SEGMENT_COUNT_MIN * strideBytes };
  }
  return {
    deviceBytes,
    ringOffset: RING_OFFSET,
    ringSlotCount,
    superblockCopyOffset,
    segmentAreaOffset,
    segmentPayloadBytes: payloadBytes,
    segmentStrideBytes: strideBytes,
    segmentCount,
  };
}

/**
 * The geometry of a device that now has so many bytes: what there was stays where it was, and as many
 * segments more as fit follow it.
 */
export function grownGeometry(geometry: Geometry, deviceBytes: number): Geometry {
  const { segmentAreaOffset, segmentStrideBytes } = geometry;
  assert(deviceBytes >= neededBytes(geometry), 'the device holds what it is formatted for');
  const fitting = Math.floor((deviceBytes - segmentAreaOffset) / segmentStrideBytes);
  const segmentCount = Math.min(fitting, SEGMENT_COUNT_MAX);
  return { ...geometry, deviceBytes, segmentCount };
}

/** Whether a geometry, read from a superblock, makes sense in itself. */
export function isSound(geometry: Geometry): boolean {
  return (
    isPayloadSize(geometry.segmentPayloadBytes) &&
    geometry.segmentStrideBytes === strideOf(geometry.segmentPayloadBytes) &&
    geometry.ringOffset === RING_OFFSET &&
    geometry.ringSlotCount >= RING_SLOTS_MIN &&
    geometry.ringSlotCount <= RING_SLOTS_MAX &&
    geometry.superblockCopyOffset === RING_OFFSET + geometry.ringSlotCount * SLOT_BYTES &&
    geometry.segmentAreaOffset === geometry.superblockCopyOffset + BLOCK_BYTES &&
    geometry.segmentCount >= SEGMENT_COUNT_MIN &&
    geometry.segmentCount <= SEGMENT_COUNT_MAX &&
    neededBytes(geometry) <= geometry.deviceBytes
  );
}

/** Bytes that a device must have for its last segment to lie on it. */
export function neededBytes(geometry: Geometry): number {
  return geometry.segmentAreaOffset + geometry.segmentCount * geometry.segmentStrideBytes;
}

/** Bytes of a segment that groups can take. */
export function segmentCapacityOf(geometry: Geometry): number {
  return geometry.segmentStrideBytes - BLOCK_BYTES;
}

/** Whether a device has the bytes `[start, end)` of a segment. */
export function hasPlace(geometry: Geometry, segment: number, start: number, end: number): boolean {
  const { segmentCount, segmentStrideBytes } = geometry;
  return segment < segmentCount && start <= end && end <= segmentStrideBytes;
}

/** Byte offset on the device of an offset within a segment. */
export function deviceOffset(geometry: Geometry, segment: number, offset: number): number {
  return geometry.segmentAreaOffset + segment * geometry.segmentStrideBytes + offset;
}

/** What fits a device with that geometry. */
export function limitsOf(geometry: Geometry): EngineLimits {
  const payloadBytes = geometry.segmentPayloadBytes;
  return {
    keyBytesMax: KEY_BYTES_MAX,
    valueBytesMax: Math.min(VALUE_BYTES_MAX, payloadBytes / 2),
    batchBytesMax: Math.min((SEGMENT_PAYLOAD_BYTES_MIN * 3) / 4, (payloadBytes * 3) / 4),
  };
}

function strideOf(payloadBytes: number): number {
  const roomBytes = Math.max(4 * BLOCK_BYTES, payloadBytes / 256);
  return payloadBytes + Math.ceil(roomBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

function isPayloadSize(bytes: number): boolean {
  return (
    bytes >= SEGMENT_PAYLOAD_BYTES_FLOOR &&
    bytes <= SEGMENT_PAYLOAD_BYTES_MAX &&
    Number.isInteger(Math.log2(bytes))
  );
}
