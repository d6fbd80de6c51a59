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

/** Room for the account of the lower claims, in front of the reservation. */
const ACCOUNT_BYTES = 512;

/** Where the account begins in a block. */
export const ACCOUNT_OFFSET_BYTES = RESERVATION_OFFSET_BYTES - ACCOUNT_BYTES;

/**
 * Predecessors that an account can name as not proved dead. Each keeps its reservation from being
 * used, so a device is short of space long before it has so many.
 */
export const QUARANTINED_CLAIMS_MAX = 12;

/** Proofs of death that an account keeps for forensics; the newest ones. */
export const DEATHS_MAX = 8;

/** Longest UTF-8 text of one field of a holder, in bytes; longer ones are cut. */
export const HOLDER_TEXT_BYTES_MAX = 128;

/**
 * By how much the clocks of two machines may differ in speed. Quartz is better than 0.02 %; a virtual
 * machine's clock that is being corrected may be off by 0.05 %.
 */
export const CLOCK_DRIFT_MAX = 0.01;

/** A settle time where a kernel's lock has proved the predecessor dead; otherwise a beat interval. */
export const QUICK_SETTLE_MS = 10;

/** Bounds of the intervals that a device may be given, in ms. */
export const BEAT_INTERVAL_MS_MIN = 20;
export const BEAT_INTERVAL_MS_MAX = 60_000;
export const LEASE_MS_MAX = 600_000;

/** A lease outlives so many beats at least: one that is late must not end it. */
export const LEASE_BEATS_MIN = 3;

/** Claims that lose a slot to another claimant of the same instant try again so many times. */
export const COLLISIONS_MAX = 8;

/** Renewals may fail for so many leases before a holder gives up on its disk. */
export const RENEWAL_LEASES_MAX = 12;

assert(
  4 + 24 * QUARANTINED_CLAIMS_MAX + 25 * DEATHS_MAX <= ACCOUNT_BYTES,
  'the account does not fit its place',
);
assert(
  RESERVATION_OFFSET_BYTES + 4 + 4 * RESERVATION_SEGMENTS_MAX <= SLOT_BLOCK_BYTES,
  'the reservation does not fit its block',
);
