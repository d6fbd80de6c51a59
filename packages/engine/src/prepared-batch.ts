/** Batches that have been checked, as they wait for a commit. */
import type { RECORD_DELETE, RECORD_DELETE_RANGE, RECORD_PUT } from './record.ts';
import type { SpaceClass } from './space.ts';

/** An operation with all that writing it needs. */
export interface PreparedOperation {
  readonly type: typeof RECORD_PUT | typeof RECORD_DELETE | typeof RECORD_DELETE_RANGE;
  /** The key, or where the range begins. */
  readonly key: Uint8Array;
  readonly name: string;
  /** A put's value; where a range ends; empty for a delete. */
  readonly value: Uint8Array;
  readonly checksums: readonly number[];
  /** A value that will stand in the tree, or the end of a range, as a binary string. */
  readonly inline: string | undefined;
}

/** A batch that may be written. */
export interface PreparedBatch {
  readonly operations: readonly PreparedOperation[];
  /** What its records take. */
  readonly bytes: number;
  /** What it is charged with against the usable space: its puts, without what it replaces if that is known. */
  readonly chargeBytes: number;
  readonly spaceClass: SpaceClass;
  /** Whether what it replaces was taken off its charge. */
  readonly isCredited: boolean;
}

/** A batch that has passed all checks but that for room on the device. */
export type CheckedBatch = Omit<PreparedBatch, 'spaceClass' | 'isCredited'>;
