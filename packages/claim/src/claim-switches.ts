/**
 * Switches that turn one mechanism of the claim off each.
 *
 * Only tests and `dozo lab` set them, to show that what they guard against happens without them.
 */
export interface ClaimSwitches {
  /** Claim without watching whoever may hold a lease. */
  readonly skipWatch?: boolean;
  /** Go on after the claim was written without looking at the ring. */
  readonly skipReadAfterClaim?: boolean;
  /** Do not wait before the second look at one's slot. */
  readonly skipSettle?: boolean;
  /** Write to the device whatever the clocks say. */
  readonly skipLeaseCheck?: boolean;
  /** Never beat, and so never notice a higher claim by oneself. */
  readonly skipBeats?: boolean;
  /** Look at the ring before the beat is written instead of after it. */
  readonly readBeforeBeat?: boolean;
  /** Use segments as soon as the slot names them, without looking at the ring. */
  readonly skipReadAfterReservation?: boolean;
}
