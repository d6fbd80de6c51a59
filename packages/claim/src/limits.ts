/** Limits of the claim area, with unit and reason. */
import { assert } from '@dozo/base';

/** Bytes of a block: what a device with 4 KiB sectors writes in one piece. */
export const SLOT_BLOCK_BYTES = 4096;

/** A slot is two blocks, written in turn, so that a torn write never hides the one before. */
export const SLOT_BYTES = 2 * SLOT_BLOCK_BYTES;

/** Slots of a ring: with fewer, two claimants that draw one at random could meet too easily. */
export const RING_SLOTS_DEFAULT = 1024;

/** A ring keeps the claim that recovery needs, so it has at least one more to write. */
export const RING_SLOTS_MIN = 2;

/** The largest ring that one read takes in: 64 MiB. */
export const RING_SLOTS_MAX = 8192;

/** Segments that one claim may reserve: what fits the second half of a block, and then some room. */
export const RESERVATION_SEGMENTS_MAX = 480;

/** Where the reservation begins in a block; everything else lies before it. */
export const RESERVATION_OFFSET_BYTES = 2048;

/** Room for proofs of predecessors' deaths, in front of the reservation; zero in this version. */
export const PROOFS_BYTES = 512;

/** Longest UTF-8 text of one field of a holder, in bytes; longer ones are cut. */
export const HOLDER_TEXT_BYTES_MAX = 128;

assert(
  RESERVATION_OFFSET_BYTES + 4 + 4 * RESERVATION_SEGMENTS_MAX <= SLOT_BLOCK_BYTES,
  'the reservation does not fit its block',
);
