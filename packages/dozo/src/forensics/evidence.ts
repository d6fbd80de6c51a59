/**
 * What a device or a claim file shows of its holders, as it was read: what forensics starts from.
 *
 * Whatever could not be read is missing here and named in `gaps`; nothing is guessed.
 */
import type { ClaimIdentity, ClaimSettings, Ring, Slot } from '@dozo/claim';
import type { ClaimHistory, LogPart, ZombieFindings } from '@dozo/engine';

/** Something that could not be read, and why, in words. */
export interface Gap {
  readonly what: string;
  readonly reason: string;
}

/** What was found past the fence of a claim whose segments are still kept apart. */
export interface ScannedClaim {
  readonly identity: ClaimIdentity;
  readonly findings: ZombieFindings;
}

/** What only a device has. */
export interface DeviceEvidence {
  readonly segmentCount: number;
  /** What one segment takes on the device. */
  readonly segmentBytes: number;
  /** Fences and notes; absent where no manifest could be read. */
  readonly history?: ClaimHistory;
  /** Parts of the log that the newest manifest needs, and who wrote them. */
  readonly parts: readonly Pick<LogPart, 'segment' | 'identity'>[];
  readonly scanned: readonly ScannedClaim[];
}

/** See the file comment. */
export interface Evidence {
  readonly path: string;
  readonly id: Uint8Array;
  readonly sizeBytes: number;
  readonly createdWallMs: number;
  readonly settings: ClaimSettings;
  /** When it was read, by this machine's wall clock. */
  readonly readWallMs: number;
  readonly slotCount: number;
  readonly ring: Ring;
  /** Slots of claims that were written again while we looked: their processes run. */
  readonly moving: readonly Slot[];
  /** Absent for a claim file. */
  readonly device?: DeviceEvidence;
  readonly gaps: readonly Gap[];
}
