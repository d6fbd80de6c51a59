/**
 * Switches that turn one safety mechanism off each.
 *
 * Only tests set them, to show that the checks around the engine notice when a mechanism is missing.
 */
export interface TestSwitches {
  /** Acknowledge without a flush. */
  readonly skipFlush?: boolean;
  /** Open without making durable what a dead process has written and not flushed. */
  readonly skipOpeningFlush?: boolean;
  /** At recovery, take a group at the end of the log without checking its values. */
  readonly skipTailValues?: boolean;
  /** Return values without checking them. */
  readonly skipReadChecks?: boolean;
  /** Use a segment again although the durable manifest still needs it. */
  readonly freeBeforeManifest?: boolean;
  /** Read closed parts of the log past the end that the fence names. */
  readonly ignoreFence?: boolean;
  /** Move live records without looking whether they are still live. */
  readonly moveBlindly?: boolean;
}
