export { takeClaim } from './claim.ts';
export type { Claim, ClaimChange, ClaimOptions } from './claim.ts';
export { ClaimError } from './errors.ts';
export type { ClaimErrorDetail } from './errors.ts';
export { describeClaim } from './holder.ts';
export {
  RESERVATION_SEGMENTS_MAX,
  RING_SLOTS_DEFAULT,
  RING_SLOTS_MAX,
  RING_SLOTS_MIN,
  SLOT_BYTES,
} from './limits.ts';
export { readRing } from './ring.ts';
export type { Ring, RingPlace, RingSlot } from './ring.ts';
export type {
  CheckpointPointer,
  ClaimIdentity,
  ClaimState,
  FailedFlush,
  Holder,
  LogEnd,
  Slot,
} from './slot.ts';
