/** What an opening is given, and what it has come to when the claim stands. */
import type { Clock, Compute, Device, Random } from '@dozo/base';
import type { AcquireOptions, Claim, Holder } from '@dozo/claim';
import type { VerifyProgress } from './engine-types.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';

/** How to open; waiting, progress, signal and an operator's word are those of the claim. */
export interface OpenOptions extends Pick<
  AcquireOptions,
  'wait' | 'onProgress' | 'signal' | 'deadByWord'
> {
  /** Stays the caller's: closing the engine does not close it. */
  readonly device: Device;
  readonly clock: Clock;
  readonly random: Random;
  /** Who opens it: what a refused second opener is told. */
  readonly holder: Holder;
  /** Progress of the verify that a failed flush of the last holder demands. */
  readonly onVerifyProgress?: (progress: VerifyProgress) => void;
  /**
   * Tells the device which segments are free (`discarder.ts`), if it takes that. Default false: the blocks
   * of a file that was allocated on purpose stay its own.
   */
  readonly discard?: boolean;
  /** Memory for blocks of tables, in bytes. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Memory that entries may take before they are written as a table, in bytes. Default 16 MiB, less on small devices. */
  readonly memtableBytes?: number;
  /** Where merges are computed. Default: on this thread, in small steps. */
  readonly compute?: Compute;
  readonly testSwitches?: TestSwitches;
}

/** An engine on its way, from the claim on. */
export interface Opening {
  readonly options: OpenOptions;
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly switches: TestSwitches;
  /** From the first group on, the log may hold what nobody knows of. */
  readonly onWrite: () => void;
}
