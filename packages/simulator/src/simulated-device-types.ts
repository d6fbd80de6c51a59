/** What a `SimulatedDevice` is opened with, what can be watched of it and made to fail. */
import type { PageCache } from './page-cache.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** The operations of a device that can be counted, watched and made to fail. */
export type OperationKind = 'read' | 'write' | 'flush' | 'discard';

/** An operation that begins or ends. */
export interface OperationEvent {
  /** 0 for the handle's first operation, then 1, 2, ... in order of beginning. */
  readonly index: number;
  readonly kind: OperationKind;
  readonly phase: 'begin' | 'end';
  readonly offset: number;
  readonly sizeBytes: number;
  /** Whether it goes past the page cache. */
  readonly isUncached: boolean;
  /** What a write writes; belongs to the medium and must not be changed. */
  readonly bytes?: Uint8Array;
}

/**
 * A fault that hits one operation.
 *
 * - `fail`: it rejects with `cause`, default `EIO`. A failed write has an unknown part of its bytes
 *   on the medium, a failed flush an unknown part of the writes.
 * - `lose`: it resolves and never happens.
 * - `misdirect`: it resolves and lands `byBytes` further on (or back), past an end of the disk at the
 *   other.
 * - `corrupt`: one bit of what it returns is wrong; the medium is not.
 * - `tell-another`: it loses what a failed one loses, and the error is told to whichever flush of this handle
 *   ends next; so it resolves itself if another was faster. Linux tells of pages that were not written once for
 *   each open file description, whoever asks first. It takes `byMs` longer, default 0, so that others are.
 * - `delay`: it takes `byMs` longer: a path that hangs, and then delivers.
 */
export type Fault = {
  /** How many of that kind pass first. */ readonly after: number;
} & (
  | {
      readonly kind: 'read' | 'write' | 'flush';
      readonly effect: 'fail';
      readonly cause?: string;
    }
  | { readonly kind: 'read' | 'write' | 'flush'; readonly effect: 'delay'; readonly byMs: number }
  | {
      readonly kind: 'flush';
      readonly effect: 'tell-another';
      readonly cause?: string;
      readonly byMs?: number;
    }
  | { readonly kind: 'write' | 'flush'; readonly effect: 'lose' }
  | { readonly kind: 'write'; readonly effect: 'misdirect'; readonly byBytes: number }
  | { readonly kind: 'read'; readonly effect: 'corrupt' }
);

export interface SimulatedDeviceOptions {
  readonly clock: SimulatedClock;
  readonly seed: string | number;
  /** Who has it open, over the same clock: stops and ends it. Default: a process that never does. */
  readonly process?: SimulatedProcess;
  /**
   * The page cache of the host that it is opened on, by this path. Default: one that every handle
   * without this option shares, and that is never stale.
   */
  readonly cache?: PageCache;
  /** Default `simulated`. */
  readonly path?: string;
  /**
   * `exclusive` (default) takes the lock. `read-only` takes none and cannot write. `unlocked` writes
   * without a lock, as a zombie or a second path to the same disk does.
   */
  readonly access?: 'exclusive' | 'read-only' | 'unlocked';
  /** Each operation takes up to so much virtual time. Default 2. */
  readonly latencyMsMax?: number;
  /** What part of the reads that may be answered at once is: from 0 (default) to 1. */
  readonly cachedReadShare?: number;
  /** Asserts that offsets and sizes of reads and writes are multiples of this. Default 1. */
  readonly alignmentBytes?: number;
  /**
   * Called when each operation has begun and when it has ended. A write that has begun is at stake: a
   * crash there keeps all, parts or nothing of it; one that has ended is what reads see.
   */
  readonly onOperation?: (event: OperationEvent) => void;
}

/** Operations and bytes since the handle was opened; operations are counted when they begin. */
export interface SimulatedDeviceCounts {
  readonly reads: number;
  readonly writes: number;
  readonly flushes: number;
  readonly discards: number;
  /** Of the reads, those past the page cache; likewise of the writes. */
  readonly uncachedReads: number;
  readonly uncachedWrites: number;
  /** Of the reads, those that were answered at once. */
  readonly cachedReads: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}
