/**
 * What every part of the metadata store works with: the transactions, the ports, the two pools, the
 * limits, and the switches by which a test turns a safety mechanism off.
 */
import type { Clock, Random } from '@dozo/base';
import type { PoolId, TransactionStore } from '@dozo/replica';
import type { S3Limits } from '../limits.ts';

/** Where buckets and entries live, and where chunks do. They may be one pool. */
export interface StorePools {
  readonly index: PoolId;
  readonly data: PoolId;
}

/**
 * Test-only: each safety mechanism, and whether it is on. A test turns one off to show that the
 * checker sees its absence. Production code takes {@link ALL_MECHANISMS}.
 */
export interface SafetyMechanisms {
  /** Changes of a shard depend on the version of its header. */
  readonly headerPrecondition: boolean;
  /** Changes of a key depend on the version of the entry that they replace. */
  readonly entryPrecondition: boolean;
  /** The commit of a streamed body depends on its intent being open. */
  readonly intentPrecondition: boolean;
  /** A streamed body writes its intent before its first chunk. */
  readonly intentFirst: boolean;
  /** The collector marks an intent before it deletes chunks. */
  readonly collectingMark: boolean;
  /** What an overwrite drops goes to the garbage queue in the same transaction. */
  readonly garbageQueue: boolean;
  /** Garbage waits until it is due, and as long as a reader in this process has pinned it. */
  readonly garbageDelay: boolean;
  /** Parts that are stored while a complete looks at them make it look again. */
  readonly partArming: boolean;
  /** A helper that comes late with an older epoch does not change a shard header. */
  readonly headerEpochs: boolean;
}

/** Everything on, as it is in production. */
export const ALL_MECHANISMS: SafetyMechanisms = {
  headerPrecondition: true,
  entryPrecondition: true,
  intentPrecondition: true,
  intentFirst: true,
  collectingMark: true,
  garbageQueue: true,
  garbageDelay: true,
  partArming: true,
  headerEpochs: true,
};

/** See the file comment. */
export interface StoreContext {
  readonly store: TransactionStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly pools: StorePools;
  readonly limits: S3Limits;
  readonly mechanisms: SafetyMechanisms;
}
