export { acquireClaim } from './acquire.ts';
export type { AcquireOptions, ClaimProgress } from './acquire.ts';
export { assessRing } from './assess.ts';
export type { Claim, ClaimChange } from './claim.ts';
export {
  CLAIM_FILE_HEADER_BYTES,
  CLAIM_FILE_RING_OFFSET,
  claimFileBytes,
  decodeClaimFileHeader,
  encodeClaimFileHeader,
} from './claim-file.ts';
export type { ClaimFileHeader } from './claim-file.ts';
export { refuseIntervals, watchMsOf } from './claim-settings.ts';
export type { ClaimSettings } from './claim-settings.ts';
export type { ClaimSwitches } from './claim-switches.ts';
export { ClaimError, claimHeld, describeProof } from './errors.ts';
export type { ClaimErrorDetail } from './errors.ts';
export { describeClaim } from './holder.ts';
export { compareIdentities, isSameClaim } from './identity.ts';
export {
  HOLDER_TEXT_BYTES_MAX,
  QUARANTINED_CLAIMS_MAX,
  RESERVATION_SEGMENTS_MAX,
  RING_SLOTS_DEFAULT,
  RING_SLOTS_MAX,
  RING_SLOTS_MIN,
  SLOT_BYTES,
} from './limits.ts';
export { readRing, ringOf } from './ring.ts';
export type { Ring, RingPlace, RingSlot } from './ring.ts';
export type {
  Account,
  CheckpointPointer,
  ClaimIdentity,
  ClaimState,
  DeathProof,
  FailedFlush,
  Holder,
  LogEnd,
  Slot,
} from './slot.ts';
