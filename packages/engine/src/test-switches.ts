/** Switches that turn one safety mechanism off each. */
import type { ClaimSwitches } from '@dozo/claim';

/** Only tests set them, to show that the checks around the engine notice when a mechanism is missing. */
export interface TestSwitches {
  /** Acknowledge without a flush. */
  readonly skipFlush?: boolean;
  /** Acknowledge a batch when it is queued: one that is killed before the write loses it. */
  readonly acknowledgeBeforeWrite?: boolean;
  /** Serve what recovery has read without making it durable: a dead process may not have. */
  readonly skipRecoveryFlush?: boolean;
  /** Recover through the page cache of this machine, which another one's writes do not reach. */
  readonly cachedRecovery?: boolean;
  /** Use segments that a predecessor has reserved whose process may still live. */
  readonly ignoreQuarantine?: boolean;
  /** Use segments as soon as the slot reserves them, without looking whether we are still alone. */
  readonly skipReservationConfirm?: boolean;
  /** Discard free segments that the slot does not reserve, without looking whether we are still alone. */
  readonly discardUnreserved?: boolean;
  /** What the claim leaves out. */
  readonly claimSwitches?: ClaimSwitches;
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
  /** Put tables into the tree, and so into a checkpoint, that are written and not flushed. */
  readonly publishBeforeTablesFlushed?: boolean;
  /** Use segments of tables again as soon as the tree is without these, before the slot is. */
  readonly freeTablesBeforeSlot?: boolean;
  /** Let a checkpoint begin the replay behind a memtable that is not in tables yet. */
  readonly cutLogBeforeFlush?: boolean;
  /** Drop deletes in every compaction, whatever older is left below. */
  readonly dropDeletesEarly?: boolean;
  /** Forget what an entry of the memtable hides when another takes its place: it dies once more. */
  readonly settleTwice?: boolean;
  /** Use segments of tables again while snapshots still read there. */
  readonly freeTablesInUse?: boolean;
  /** Look for space again at once, over and over, instead of waiting for what may bring some. */
  readonly spinForSpace?: boolean;
  /** Refuse deletes where reclaim has given up, without another try. */
  readonly giveUpForGood?: boolean;
  /** Never find out what entries of the memtables hide. */
  readonly skipSettle?: boolean;
  /** Use blocks of tables without checking them. */
  readonly skipTableChecks?: boolean;
  /** Let a sector of a table that cannot be read fail whoever reads it, as if the device had failed. */
  readonly failOnUnreadTables?: boolean;
  /** Forget which tables are damaged: compaction ends at the first one. */
  readonly forgetDamagedTables?: boolean;
  /** Copy tables as they are read, without checking the bytes that are written. */
  readonly moveTablesUnchecked?: boolean;
}
